import { defineConfig } from "vitest/config"

// A project that uses the testkit as any other project would. fixtures.test.ts runs its tests.
export default defineConfig({
  test: {
    include: [process.env["PROJECT_FAILS"] ? "failing.project.ts" : "{one,two}.project.ts"],
    globalSetup: ["./services.ts"],
    pool: "forks",
    maxWorkers: 2,
    execArgv: ["--conditions=holdfast-source"],
    hookTimeout: 120_000,
    testTimeout: 60_000
  }
})
