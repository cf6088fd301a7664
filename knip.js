// Unused files, exports, types and dependencies fail the check. Entries that a package's exports name need no mention.
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const read = (file) => readFileSync(new URL(file, import.meta.url), "utf8")
const root = fileURLToPath(new URL(".", import.meta.url))

/** The programs of dependencies that scripts start by their path in `node_modules`. */
const startedByPath = globSync("scripts/*.mjs", { cwd: root }).flatMap((file) =>
  [...read(file).matchAll(/"node_modules\/((?:@[^/"]+\/)?[^/"]+)\//g)].map(([, name]) => name)
)

/** The tools that the root commands start, and the scripts that they run. */
const commands = [...read("scripts/run.mjs").matchAll(/"tools\/(src\/[^"]+)"/g)].map(([, file]) => file)

const tests = ["src/**/*.type-test.ts", "{src,test}/**/*.test.ts"]
const benches = ["bench/*.ts", "bench/*/{index,main,soak}.ts"]

export default {
  workspaces: {
    ".": {
      entry: [
        "scripts/{run,check,docs,build,release,api-report,effect-lint,testkit-runners,ci/run-stack}.mjs",
        "scripts/*.test.ts"
      ],
      // The files of platforms are copied beside the packed packages.
      project: ["scripts/**/*.{mjs,ts}", "!scripts/platforms/**"],
      // Tests use what operators have, where it is installed.
      ignoreBinaries: ["haproxy", "promtool", "systemd-analyze"],
      // oxlint finds the checker of its type-aware rules by itself.
      ignoreDependencies: [...startedByPath, "oxlint-tsgolint"]
    },
    "packages/*": {
      entry: [...tests, ...benches],
      project: ["{src,test,bench}/**/*.ts"]
    },
    "packages/server": {
      // The command line loads the operations when it runs one.
      entry: ["src/{cli,operations}.ts", ...tests, ...benches],
      // Tests make certificates.
      ignoreBinaries: ["openssl"],
      project: ["{src,test,bench}/**/*.ts"]
    },
    "packages/testkit": {
      // The last two are the files of projects that tests run in other processes.
      entry: [...tests, ...benches, "test/**/*.project.ts", "test/**/{vitest.config,services,reporter}.ts"],
      project: ["{src,test,bench}/**/*.ts"]
    },
    tools: {
      ignoreBinaries: ["haproxy", "mysql", "mysqldump"],
      entry: [...commands, ...tests, ...benches],
      project: ["{src,bench}/**/*.ts"]
    },
    "examples/*": {
      entry: ["src/*.{ts,tsx}", "test/**/*.ts"],
      project: ["**/*.{ts,tsx}"]
    }
  }
}
