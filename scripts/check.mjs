// Everything that can be judged without running the code: lint, format, import boundaries, effects, types.
import { globSync } from "node:fs"
import { checkBoundaries } from "./boundaries.mjs"
import { root } from "./bootstrap.mjs"
import { nodeStep, runSteps, StepFailed } from "./steps.mjs"

const TSC = "node_modules/typescript/bin/tsc"

const typeCheck = (name, project) => nodeStep(`types of ${name}`, TSC, "-p", project)

const boundaries = {
  name: "import boundaries",
  async work() {
    const { modules, violations } = await checkBoundaries(root)
    const unread = sources().filter((file) => !modules.includes(file))
    if (unread.length > 0) throw new StepFailed(`${unread.length} sources were not read`, unread.join("\n"))
    if (violations.length > 0)
      throw new StepFailed(
        `${violations.length} violations`,
        violations.map(({ message }) => message).join("\n")
      )
    return modules.length
  },
  remark: (modules) => `${modules} modules`
}

/** Every source that the boundaries speak of, found without dependency-cruiser's help. */
const sources = () =>
  globSync(["packages/*/{src,test,bench}/**/*.ts", "tools/{src,bench}/**/*.ts"], { cwd: root }).map((file) =>
    file.replaceAll("\\", "/")
  )

const passed = await runSteps("check", [
  nodeStep("lint", "node_modules/oxlint/bin/oxlint", "--type-aware", "--deny-warnings"),
  nodeStep("format", "node_modules/oxfmt/bin/oxfmt", "--check", "."),
  boundaries,
  nodeStep("effects", "scripts/effect-lint.mjs"),
  nodeStep("types of the packages' sources", TSC, "-b"),
  ...["domain", "locks", "server", "client-sdk", "testkit"].map((name) =>
    typeCheck(`${name} with its tests`, `packages/${name}/tsconfig.json`)
  ),
  typeCheck("tools", "tools/tsconfig.json"),
  typeCheck("scripts", "scripts/tsconfig.json")
])
process.exitCode = passed ? 0 : 1
