import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const conditions = ["holdfast-source", "node", "import", "module", "default"]

const source = (path: string) => fileURLToPath(new URL(`packages/${path}/index.ts`, import.meta.url))

/** Global setups are resolved without the conditions, so every package is named: tests never run a stale build. */
const alias = [
  { find: /^@holdfast\/([\w-]+)$/, replacement: source("$1/src") },
  { find: /^@holdfast\/([\w-]+)\/([\w-]+)$/, replacement: source("$1/src/$2") }
]

/**
 * What is not run on containers: the soak's two hundred rounds of frozen, killed and flushed servers, for which a
 * container takes seconds where a process takes none.
 */
const notOnContainers = process.env["HOLDFAST_SOURCE"] === "docker" ? ["**/locks/src/soak.test.ts"] : []

/** One project a package, so that `--project testkit` runs one of them and reports name where a test lives. */
const project = (name: string, root: string, globalSetup: ReadonlyArray<string> = []) => ({
  resolve: { alias, conditions },
  ssr: { resolve: { conditions } },
  test: {
    name,
    root,
    globalSetup: [...globalSetup],
    include: ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", ...notOnContainers],
    testTimeout: 60_000,
    hookTimeout: 120_000
  }
})

export default defineConfig({
  resolve: { alias, conditions },
  ssr: { resolve: { conditions } },
  test: {
    pool: "forks",
    // A shared machine may starve a test of its processor; what fails twice in a row is no accident.
    retry: process.env["CI"] === "true" ? 1 : 0,
    maxWorkers: 2,
    execArgv: ["--conditions=holdfast-source"],
    projects: [
      project("domain", "packages/domain"),
      project("server", "packages/server", ["test/global-setup.ts"]),
      project("locks", "packages/locks", ["test/global-setup.ts"]),
      project("client-sdk", "packages/client-sdk"),
      project("testkit", "packages/testkit"),
      project("tools", "tools"),
      project("repository", "scripts")
    ]
  }
})
