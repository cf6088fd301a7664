// Checks everything that can be judged without running the code.
import { globSync } from "node:fs"
import { checkApiReports } from "./api-report.mjs"
import { root } from "./bootstrap.mjs"
import { checkBoundaries } from "./boundaries.mjs"
import { checkBusinessTables } from "./business-tables.mjs"
import { checkDocstrings } from "./docstrings.mjs"
import { nodeStep, runSteps, StepFailed } from "./steps.mjs"

const TSC = "node_modules/typescript/bin/tsc"

const typeCheck = (name, project) => nodeStep(`types of ${name}`, TSC, "-p", project)

/** A step that fails with a line for each violation, and also when it finds nothing to judge. */
const rule = (name, unit, judge) => ({
  name,
  async work() {
    const { count, violations } = await judge()
    if (count === 0) throw new StepFailed(`no ${unit} found`, "")
    if (violations.length > 0) throw new StepFailed(`${violations.length} violations`, violations.join("\n"))
    return count
  },
  remark: (count) => `${count} ${unit}`
})

const boundaries = rule("import boundaries", "modules", async () => {
  const { modules, violations } = await checkBoundaries(root)
  const unread = sources().filter((file) => !modules.includes(file))
  return {
    count: modules.length,
    violations: [...unread.map((file) => `${file} was not read`), ...violations.map(({ message }) => message)]
  }
})

/** Every source that the boundaries apply to, found independently of dependency-cruiser. */
const sources = () =>
  globSync(["packages/*/{src,test,bench}/**/*.ts", "tools/{src,bench}/**/*.ts"], { cwd: root }).map((file) =>
    file.replaceAll("\\", "/")
  )

const businessTables = rule("platform without business tables", "sources", () => {
  const { sources: read, tables, violations } = checkBusinessTables(root)
  return { count: tables.length === 0 ? 0 : read, violations }
})

const docstrings = rule("docstrings of public exports", "exports", () => {
  const { exports, violations } = checkDocstrings(root)
  return { count: exports, violations }
})

const publicApi = rule("public API", "reports", () => checkApiReports())

const passed = await runSteps("check", [
  nodeStep("lint", "node_modules/oxlint/bin/oxlint", "--format=unix"),
  nodeStep("format", "node_modules/oxfmt/bin/oxfmt", "--check", "."),
  boundaries,
  businessTables,
  docstrings,
  nodeStep("unused code and dependencies", "node_modules/knip/bin/knip.js", "--no-config-hints"),
  nodeStep("effects", "scripts/effect-lint.mjs"),
  {
    name: "types of the packages' sources and public API",
    async work() {
      await nodeStep("", TSC, "-b").work()
      await publicApi.work()
    }
  },
  ...["domain", "locks", "server", "client-sdk", "testkit"].map((name) =>
    typeCheck(`${name} with its tests`, `packages/${name}/tsconfig.json`)
  ),
  typeCheck("tools", "tools/tsconfig.json"),
  typeCheck("scripts", "scripts/tsconfig.json")
])
process.exitCode = passed ? 0 : 1
