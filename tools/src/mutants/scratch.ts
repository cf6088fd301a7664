import { execFile, spawn } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { root } from "./mutant.ts"

const execute = promisify(execFile)

/** What became of a run of tests. */
export type TestRun =
  | { readonly outcome: "passed" }
  /** The first tests that failed. */
  | { readonly outcome: "failed"; readonly tests: ReadonlyArray<string> }
  /** No test gave a verdict. */
  | { readonly outcome: "broken"; readonly reason: string }

/** A copy of the working tree, in which guards can be removed. */
export interface Scratch extends AsyncDisposable {
  /** Applies a patch, or takes it back. Fails when it does not fit. */
  readonly apply: (patch: string, direction?: "forward" | "back") => Promise<void>
  /** Runs test files until the first failure; a test fails when it fails this many times more. */
  readonly test: (files: ReadonlyArray<string>, retries: number) => Promise<TestRun>
}

/** The tests of one mutant may take this long. A mutant that blocks them fails by their own deadlines before. */
const LONGEST_TESTS_MS = 300_000

/** Whether a patch fits the working tree. */
export const fits = async (patch: string): Promise<boolean> => {
  try {
    await execute("git", ["apply", "--check", patch], { cwd: root })
    return true
  } catch {
    return false
  }
}

/** Copies the files that git knows or would add, and installs the packages. */
export const makeScratch = async (): Promise<Scratch> => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-mutants-"))
  const { stdout } = await execute("git", ["ls-files", "-coz", "--exclude-standard"], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024
  })
  for (const file of stdout.split("\0"))
    if (file !== "" && existsSync(join(root, file))) cpSync(join(root, file), join(directory, file))
  await execute(process.execPath, ["scripts/run.mjs", "install"], { cwd: directory })
  return {
    apply: async (patch, direction = "forward") => {
      await execute("git", ["apply", ...(direction === "back" ? ["--reverse"] : []), patch], {
        cwd: directory
      })
    },
    test: (files, retries) => runTests(directory, files, retries),
    [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true, force: true })
  }
}

const runTests = async (
  directory: string,
  files: ReadonlyArray<string>,
  retries: number
): Promise<TestRun> => {
  const report = join(directory, "mutant-report.json")
  rmSync(report, { force: true })
  const flags = ["run", "--bail=1", `--retry=${retries}`, "--reporter=json", `--outputFile=${report}`]
  const printed = await new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", ...flags, ...files], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: LONGEST_TESTS_MS
    })
    let text = ""
    const keep = (chunk: Buffer) => (text = (text + chunk.toString()).slice(-2_000))
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)
    child.on("error", reject)
    child.on("close", () => resolve(text))
  })
  return existsSync(report) ? outcomeOf(readFileSync(report, "utf8")) : { outcome: "broken", reason: printed }
}

interface JsonReport {
  readonly success: boolean
  readonly numPassedTests: number
  readonly testResults: ReadonlyArray<{
    readonly message: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly fullName: string }>
  }>
}

/** What a JSON report of the test runner says. A file that cannot be loaded proves nothing about a guard. */
export const outcomeOf = (text: string): TestRun => {
  const report = JSON.parse(text) as JsonReport
  const tests = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName)
  )
  if (tests.length > 0) return { outcome: "failed", tests }
  if (report.success && report.numPassedTests > 0) return { outcome: "passed" }
  const reason = report.testResults.map(({ message }) => message).join("\n")
  return { outcome: "broken", reason: reason || "no test ran" }
}
