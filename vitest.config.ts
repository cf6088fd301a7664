import { defineConfig } from "vitest/config"

const conditions = ["holdfast-source", "node", "import", "module", "default"]

/** One project a package, so that `--project testkit` runs one of them and reports name where a test lives. */
const project = (name: string, root: string, globalSetup: ReadonlyArray<string> = []) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name,
    root,
    globalSetup: [...globalSetup],
    include: ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    testTimeout: 30_000,
    hookTimeout: 120_000
  }
})

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    pool: "forks",
    maxWorkers: 2,
    execArgv: ["--conditions=holdfast-source"],
    projects: [
      project("domain", "packages/domain"),
      project("server", "packages/server", ["src/testing/globalSetup.ts"]),
      project("client-sdk", "packages/client-sdk"),
      project("testkit", "packages/testkit"),
      project("tools", "tools"),
      project("repository", "scripts")
    ]
  }
})
