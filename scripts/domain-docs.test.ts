import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { node24, root } from "./bootstrap.mjs"
import { programOf, runProgram } from "./consumer.mjs"

let directory: string
beforeAll(() => {
  // Within the packages' folder, so that the programs find what the domain finds.
  const folder = join(root, "packages/client-sdk/.tsbuild")
  mkdirSync(folder, { recursive: true })
  directory = mkdtempSync(join(folder, "docs-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Joins the code of a page to one program, compiles it and returns what it prints. */
const outputOf = async (page: string, name: string): Promise<string> => {
  writeFileSync(join(directory, name), programOf(page))
  const project = {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: { noEmit: true, composite: false, types: ["node"], lib: ["ES2024", "DOM"] },
    files: [name]
  }
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(project))
  await runProgram(node24(), [join(root, "node_modules/typescript/bin/tsc"), "-p", directory])
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"]
  return runProgram(node24(), [...flags, join(directory, name)])
}

test("the program of docs/domain.md prints what the page says", { timeout: 120_000 }, async () => {
  const printed = await outputOf("docs/domain.md", "guide.ts")
  const text = readFileSync(join(root, "docs/domain.md"), "utf8")
  const promised = [...text.matchAll(/^ *console\.log\(.*\) \/\/ (.+)$/gm)].map(([, line = ""]) =>
    line.replace(/: a coupon.*/, "")
  )
  expect(promised.length).toBeGreaterThan(8)
  const lines = printed.split("\n")
  for (const line of promised) expect(lines).toContain(line)
  expect(printed).toContain("must be a whole number of points, 0 or more")
})

test("the program of the domain's README runs", { timeout: 120_000 }, async () => {
  const printed = await outputOf("packages/domain/README.md", "readme.ts")
  expect(printed).toContain("must be 1 to 64 printable characters without commas, colons or outer blanks")
  expect(printed).toMatch(/^480\nmutation for user: 404, 409,/m)
})
