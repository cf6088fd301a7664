import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { node24, root } from "./bootstrap.mjs"
import { plant } from "./planted.ts"
import { capture, StepFailed } from "./steps.mjs"

const read = (file: string) => readFileSync(join(root, file), "utf8")

/** Runs a program of the check in a planted directory, and gives what it prints. */
const run = (directory: string, program: string, ...args: Array<string>): Promise<string> =>
  capture(node24(), [join(root, program), ...args], { cwd: directory }).catch((error: unknown) => {
    if (error instanceof StepFailed) return error.output
    throw error
  })

/** The lint rules that a file breaks. Type-aware rules are left out: they need an installed project. */
const brokenRules = async (file: string, text: string) => {
  const configuration = read(".oxlintrc.json").replace(`"typeAware": true`, `"typeAware": false`)
  const directory = plant({ ".oxlintrc.json": configuration, [file]: text })
  const output = await run(directory, "node_modules/oxlint/bin/oxlint", "--format=json")
  const { diagnostics, number_of_files } = JSON.parse(output) as {
    diagnostics: ReadonlyArray<{ code?: string; message: string }>
    number_of_files: number
  }
  expect(number_of_files).toBe(1)
  return diagnostics.map(({ code, message }) => code ?? message)
}

const lines = (count: number) => "console.log(1)\n".repeat(count)
const functionOf = (count: number) => `export function long() {\n${lines(count - 2)}}\n`
const imports = `import { expect, it } from "vitest"\n`

test.each([
  ["a name in camelCase", "src/withLock.ts", "export const a = 1", "unicorn(filename-case)"],
  ["a name in PascalCase", "scripts/Lock.mjs", "export const a = 1", "unicorn(filename-case)"],
  ["a name in snake_case", "examples/a/src/with_lock.tsx", "export const a = 1", "unicorn(filename-case)"],
  [
    "a second part in camelCase",
    "src/sale.lostReply.test.ts",
    "export const a = 1",
    "unicorn(filename-case)"
  ],
  ["a function of 61 lines", "src/a.ts", functionOf(61), "eslint(max-lines-per-function)"],
  [
    "a function of 61 lines with comments among them",
    "src/a.ts",
    functionOf(40).replace("\n", `\n${"// why\n".repeat(21)}`),
    "eslint(max-lines-per-function)"
  ],
  [
    "a generator of 61 lines",
    "src/a.ts",
    functionOf(61).replace("function", "function*").replace("console.log(1)", "yield 1"),
    "eslint(max-lines-per-function)"
  ],
  ["a file of 301 lines", "src/a.ts", `export const a = 1\n${lines(300)}`, "eslint(max-lines)"],
  ["it", "src/a.test.ts", `${imports}\nit("adds", () => expect(1).toBe(1))`, "vitest(consistent-test-it)"],
  [
    "it within describe",
    "src/a.test.ts",
    `import { describe, it } from "vitest"\ndescribe("a", () => { it("adds", () => {}) })`,
    "vitest(consistent-test-it)"
  ],
  [
    "it.each",
    "src/a.test.ts",
    `${imports}it.each([1])("adds", (n) => expect(n).toBe(1))`,
    "vitest(consistent-test-it)"
  ],
  [
    "it.runIf",
    "src/a.test.ts",
    `${imports}it.runIf(true)("adds", () => expect(1).toBe(1))`,
    "vitest(consistent-test-it)"
  ]
])("lint catches %s", async (_case, file, text, rule) => {
  expect(await brokenRules(file, text)).toEqual([rule])
})

test.each([
  ["a rule that is off", "no-console"],
  ["a rule that finds nothing here", "typescript/no-explicit-any"]
])("lint catches a suppression of %s", async (_case, rule) => {
  const text = `// oxlint-disable-next-line ${rule} -- a reason\nexport const a = 1\n`
  expect(await brokenRules("src/a.ts", text)).toEqual([expect.stringMatching(/^Unused .*disable directive/)])
})

test.each([
  ["names with several parts", "src/sale.race.test.ts", "export const a = 1"],
  ["names with numbers", "src/migrations/0001-first-tables.ts", "export const a = 1"],
  ["functions of 60 lines", "src/a.ts", functionOf(60)],
  ["files of 300 lines", "src/a.ts", `export const a = 1\n${lines(299)}`],
  [
    "long suites",
    "src/a.test.ts",
    `import { describe } from "vitest"\ndescribe("a", () => {\n${lines(400)}})`
  ],
  ["long helpers of tests", "test/a.ts", functionOf(400)],
  [
    "tests of effects",
    "src/a.test.ts",
    `import { it } from "@effect/vitest"\nit.effect("adds", () => effect)`
  ],
  [
    "suppressions of what would be reported",
    "src/a.ts",
    `// oxlint-disable-next-line typescript/no-explicit-any -- a reason\nexport type Any = any`
  ]
])("lint accepts %s", async (_case, file, text) => {
  expect(await brokenRules(file, text)).toEqual([])
})

const manifest = (name: string, more: object = {}) => JSON.stringify({ name, type: "module", ...more })

/** A package without anything unused, under the repository's own configuration. */
const used = {
  "knip.js": read("knip.js"),
  "package.json": manifest("root"),
  "pnpm-workspace.yaml": "packages:\n  - packages/*\n  - tools\n",
  "scripts/run.mjs": `source("tools/src/main.ts")`,
  "tools/package.json": manifest("@holdfast/tools"),
  "tools/src/main.ts": "console.log(1)",
  "packages/domain/package.json": manifest("@holdfast/domain", {
    exports: { ".": { "holdfast-source": "./src/index.ts", default: "./dist/index.js" } },
    dependencies: { effect: "*" }
  }),
  "packages/domain/src/index.ts": `import "effect"\nimport { used, type Used } from "./used.ts"\nexport const result: Used = used`,
  "packages/domain/src/used.ts": "export type Used = number\nexport const used = 1",
  "node_modules/effect/package.json": manifest("effect")
}

const unused = (planted: Readonly<Record<string, string>>) =>
  run(plant({ ...used, ...planted }), "node_modules/knip/bin/knip.js", "--no-config-hints", "--no-progress")

test("knip accepts a package without unused code, and a tool that a root command starts", async () => {
  expect(await unused({})).toBe("")
})

test.each([
  ["an unused file", "Unused files", "packages/domain/src/forgotten.ts", "export {}"],
  [
    "an unused export",
    "Unused exports",
    "packages/domain/src/used.ts",
    "export type Used = number\nexport const used = 1\nexport const forgotten = 2"
  ],
  [
    "an unused type",
    "Unused exported types",
    "packages/domain/src/used.ts",
    "export type Used = number\nexport const used = 1\nexport type Forgotten = string"
  ],
  [
    "an unused dependency",
    "Unused dependencies",
    "packages/domain/package.json",
    used["packages/domain/package.json"].replace(`"effect":"*"`, `"effect":"*","forgotten":"*"`)
  ],
  [
    "a dependency that no manifest lists",
    "Unlisted dependencies",
    "packages/domain/src/index.ts",
    `${used["packages/domain/src/index.ts"]}\nimport "forgotten"`
  ],
  ["a tool that no root command starts", "Unused files", "tools/src/forgotten.ts", "console.log(1)"]
])("knip catches %s", async (_case, title, file, text) => {
  const output = await unused({ [file]: text })
  expect(output).toContain(title)
  expect(output).toMatch(/forgotten/i)
})
