import { readdirSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const conditions = ["holdfast-source", "node", "import", "module", "default"]

const fromRoot = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Maps every entry of the packages to its source: global setups are resolved without the conditions above. */
const alias = readdirSync(fromRoot("packages")).flatMap((directory) => {
  const manifest = JSON.parse(readFileSync(fromRoot(`packages/${directory}/package.json`), "utf8")) as {
    name: string
    exports: Record<string, { "holdfast-source"?: string }>
  }
  return Object.entries(manifest.exports).flatMap(([subpath, { "holdfast-source": source }]) =>
    source === undefined
      ? []
      : [
          {
            find: new RegExp(`^${manifest.name}${subpath.slice(1)}$`),
            replacement: fromRoot(`packages/${directory}/${source}`)
          }
        ]
  )
})

/**
 * What is the same with every kind of store: the process, its HTTP and its subscriptions. The soak and the tests that
 * start services or a test runner of their own take minutes with containers; the other run starts containers for those.
 */
const notOnContainers =
  process.env["HOLDFAST_SOURCE"] === "docker"
    ? [
        "**/src/{cli,config,serve,server-restart,server-cuts}.test.ts",
        "**/src/platform/{http,live,trpc}/**",
        // Their servers have certificates, sockets or topologies of their own, so they are always processes.
        "**/src/platform/db/addresses.test.ts",
        "**/src/*topologies.test.ts",
        // Races that the other files of their modules have on containers, too, and that take a minute each.
        "**/src/modules/coupons/issuing/{crash,redis}.test.ts",
        "**/src/modules/orders/end.race.test.ts",
        "**/src/{app-redis-lies,app-forged-events}.test.ts",
        "**/src/platform/{cache,rates,telemetry,command}/**",
        "**/src/modules/auth/**",
        // The explorer's own tests plant bugs into stores of every kind; what it says of the shop is explored here, too.
        "**/src/explore/{planted,multi}.test.ts",
        "**/*{watch,watch-sdk,decide}.test.ts",
        "**/test/processes/**",
        "**/src/soak.test.ts",
        "**/test/{node-test,fixtures,services}/**"
      ]
    : []

/** One project a package: `--project testkit` runs one of them, and reports name the package of a test. */
const project = (name: string, root: string, globalSetup: ReadonlyArray<string> = []) => ({
  resolve: { alias, conditions },
  ssr: { resolve: { conditions } },
  test: {
    name,
    root,
    globalSetup: globalSetup.map((file) => fromRoot(`${root}/${file}`)),
    include: ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", ...notOnContainers],
    testTimeout: 60_000,
    hookTimeout: 120_000
  }
})

/** The projects whose files take minutes, because they start commands and install packages. */
const SLOW_PROJECTS = new Set(["tools", "repository"])

/** Begins with the slow projects, so that no worker is left with one of their files when all others are done. */
class SlowProjectsFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    // oxlint-disable-next-line unicorn/no-array-sort -- This is vitest's method, not that of arrays.
    const sorted = await super.sort(files)
    const isSlow = ({ project: { name } }: TestSpecification) => SLOW_PROJECTS.has(name)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}

export default defineConfig({
  resolve: { alias, conditions },
  ssr: { resolve: { conditions } },
  test: {
    pool: "forks",
    sequence: { sequencer: SlowProjectsFirst },
    // A shared machine may starve a test of its processor; a test that fails twice in a row has a fault.
    retry: process.env["CI"] === "true" ? 1 : 0,
    // Tests wait for servers more than they compute: with a worker more than processors, none of those is idle.
    maxWorkers: Math.min(availableParallelism() + 1, 4),
    execArgv: ["--conditions=holdfast-source"],
    projects: [
      project("domain", "packages/domain"),
      project("server", "packages/server", ["test/global-setup.ts"]),
      project("locks", "packages/locks", ["test/global-setup.ts"]),
      project("client-sdk", "packages/client-sdk", ["src/testing/global-setup.ts"]),
      project("testkit", "packages/testkit"),
      project("tools", "tools"),
      project("repository", "scripts")
    ]
  }
})
