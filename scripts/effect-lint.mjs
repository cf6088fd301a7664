// Finds effects that never run, layers provided inside the program and requirements that were cast away. The types
// enforce the lock order, so a cast or an `any` among them would defeat it.
import { spawn } from "node:child_process"
import { join } from "node:path"
import { node24, root } from "./bootstrap.mjs"

const PACKAGES = ["domain", "locks", "server", "client-sdk"]

const RULES = [
  "anyUnknownInErrorContext",
  "floatingEffect",
  "missingReturnYieldStar",
  "missingStarInYieldEffectGen",
  "outdatedApi",
  "strictEffectProvide",
  "unsafeEffectTypeAssertion"
]

/** Tests provide layers locally and break rules on purpose. */
const TEST_FILES = [
  "**/*.test.ts",
  "**/*.type-test.ts",
  "**/testing/**/*.ts",
  "**/test/**/*.ts",
  "test/**/*.ts"
]

/** The compiler reports these itself, and type tests expect it to. */
const LEFT_TO_THE_COMPILER = ["missingEffectContext", "missingEffectError", "missingLayerContext"]

const every = (severity) => Object.fromEntries(RULES.map((rule) => [rule, severity]))
const leftToTheCompiler = Object.fromEntries(LEFT_TO_THE_COMPILER.map((rule) => [rule, "off"]))
const configuration = JSON.stringify({
  diagnosticSeverity: { ...every("error"), ...leftToTheCompiler },
  overrides: [
    { include: TEST_FILES, options: { diagnosticSeverity: { ...every("off"), ...leftToTheCompiler } } }
  ]
})

/** Checks the sources of one package, tests excepted. */
function check(name) {
  const args = [
    join(root, "node_modules/@effect/tsgo/dist/effect-tsgo.cjs"),
    "diagnostics",
    "--project",
    join(root, "packages", name, "tsconfig.json"),
    "--format",
    "text",
    "--severity",
    "error",
    "--lspconfig",
    configuration
  ]
  return new Promise((resolve, reject) => {
    const child = spawn(node24(), args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    const chunks = []
    child.stdout.on("data", (chunk) => chunks.push(chunk))
    child.stderr.on("data", (chunk) => chunks.push(chunk))
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, output: Buffer.concat(chunks).toString() }))
  })
}

/** Zero when the checker read no file, or not all of them: such a run proves nothing. */
const filesRead = (output) => Number(/Checked (\d+) files? out of \1 files?/.exec(output)?.[1] ?? 0)

let failed = false
for (const name of PACKAGES) {
  const { code, output } = await check(name)
  const files = filesRead(output)
  if (code === 0 && files > 0) {
    console.log(`effects of ${name}: ${files} files, no errors`)
    continue
  }
  failed = true
  console.error(`effects of ${name}: ${files === 0 ? "no file was read" : "errors"}\n${output}`)
}
process.exitCode = failed ? 1 : 0
