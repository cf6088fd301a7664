import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// The tests of the fixtures as a separate project. everywhere.test.ts runs it on servers of every source.
export default defineConfig({
  test: {
    dir: fileURLToPath(new URL("../../fixtures", import.meta.url)),
    include: ["**/tools.test.ts"],
    globalSetup: [fileURLToPath(new URL("services.ts", import.meta.url))],
    pool: "forks",
    maxWorkers: 1,
    execArgv: ["--conditions=holdfast-source"],
    hookTimeout: 240_000,
    testTimeout: 60_000
  }
})
