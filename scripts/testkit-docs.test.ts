import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { node24, root } from "./bootstrap.mjs"
import { copyExample, install, packPackages, programOf, runProgram } from "./consumer.mjs"

// Runs every file of these pages in a separate project with the packed testkit.
const pages = ["docs/testkit.md", "docs/testkit/found.md"]
const text = pages.map((page) => readFileSync(join(root, page), "utf8")).join("\n")

/** The libraries of the second page, in its versions. */
const libraries = {
  "express-brute": "1.0.1",
  "express-brute-redis": "0.0.1",
  "express-session": "1.19.0",
  "connect-redis": "7.1.1"
}

/** The files of the pages, by the path in their first line. */
const files = new Map(
  [...text.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, path = "", code = ""]) => [path, code])
)
/** The failures that the pages quote. */
const failures = [...text.matchAll(/^```text\n([\s\S]*?)\n```$/gm)].map(([, line]) => line)

const packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))
let project: ReturnType<typeof copyExample>

beforeAll(async () => {
  project = copyExample("testkit-elsewhere", await packPackages(["testkit"], packed), libraries)
  for (const directory of ["src", "test"])
    rmSync(join(project.directory, directory), { recursive: true, force: true })
  for (const [path, code] of files) write(path, code)
  write("src/readme.ts", programOf("packages/testkit/README.md"))
  await install("pnpm", project.directory)
}, 300_000)
afterAll(() => {
  project.remove()
  rmSync(packed, { recursive: true, force: true })
})

const write = (path: string, code: string) => {
  const file = join(project.directory, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, code)
}

/** Runs a program on Node 24 in the project. */
const runNode = (...args: Array<string>): Promise<string> =>
  runProgram(node24(), args, { cwd: project.directory })

const runTests = (...only: Array<string>) =>
  runNode("node_modules/vitest/vitest.mjs", "run", "--no-color", ...only)

test("all code blocks are complete files that compile", { timeout: 120_000 }, async () => {
  expect(files.size).toBeGreaterThan(15)
  expect([...text.matchAll(/^```ts$/gm)]).toHaveLength(files.size)
  await runNode("node_modules/typescript/bin/tsc", "-p", ".")
})

test("the program of the package's README prints what it says", { timeout: 120_000 }, async () => {
  expect(await runNode("src/readme.ts")).toBe("exactly 3 of 20\n")
})

test("all tests pass under vitest", { timeout: 300_000 }, async () => {
  const printed = await runTests()
  const tests = [...files.keys()].filter((path) => path.endsWith(".test.ts"))
  expect(printed).toContain(`Test Files  ${tests.length} passed (${tests.length})`)
})

test("the test for node:test passes", { timeout: 120_000 }, async () => {
  expect(await runNode("--test", "--test-reporter=spec", "test/sale.node.ts")).toMatch(/pass 1\n.*fail 0/)
})

const withoutGuard: ReadonlyArray<Edit> = [[" AND stock > 0", ""]]

/** Mistakes in the page's files, in the order of the quoted failures. */
const mistakes: ReadonlyArray<{ file: string; edits: ReadonlyArray<Edit>; run: string }> = [
  { file: "src/shop.ts", edits: withoutGuard, run: "test/sale.test.ts" },
  {
    file: "test/faults.test.ts",
    edits: [
      ["/^UPDATE products/", "/^DELETE/"],
      ["await lostReply.fired", "void lostReply"],
      ['expect(await shop.stockOf("lantern")).toBe(8)', ""]
    ],
    run: "test/faults.test.ts"
  },
  { file: "src/shop.ts", edits: withoutGuard, run: "test/history.test.ts" },
  {
    file: "test/locks.test.ts",
    edits: [['sellBoth(bob.sql, ["lamp", "lantern"])', 'sellBoth(bob.sql, ["lantern", "lamp"])']],
    run: "test/locks.test.ts"
  }
]

test.each(mistakes.map((mistake, index) => ({ ...mistake, says: failures[index] ?? "" })))(
  "a mistake in $file fails $run with: $says",
  { timeout: 300_000 },
  async ({ file, edits, run, says }) => {
    expect(failures).toHaveLength(mistakes.length)
    const code = files.get(file) ?? ""
    write(file, edits.reduce(edited, code))
    try {
      await expect(runTests(run)).rejects.toThrow(says)
    } finally {
      write(file, code)
    }
  }
)

type Edit = readonly [right: string, wrong: string]

const edited = (code: string, [right, wrong]: Edit): string => {
  expect(code).toContain(right)
  return code.replace(right, wrong)
}
