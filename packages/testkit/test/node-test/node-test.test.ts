import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, test } from "vitest"
import { ownTemporaryBase, processExists, until } from "../services/support.ts"

const temporary = ownTemporaryBase()
afterAll(temporary.remove)

const program = fileURLToPath(new URL("selling.ts", import.meta.url))

/** Runs the file with node's own test runner. */
const runNodeTest = (env: NodeJS.ProcessEnv) =>
  new Promise<{ readonly code: number | null; readonly output: string }>((resolve, reject) => {
    const args = ["--test", "--test-reporter=spec", "--conditions=holdfast-source", program]
    // Without this, the inner test runner would only report to the outer one.
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
    const child = spawn(process.execPath, args, {
      env: { ...inherited, ...env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    child.stdout.on("data", (data: Buffer) => (output += data.toString()))
    child.stderr.on("data", (data: Buffer) => (output += data.toString()))
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, output }))
  })

describe("without vitest, under node:test", () => {
  test("`await using` starts and stops the services", { timeout: 240_000 }, async () => {
    const { code, output } = await runNodeTest({})
    expect(output).toMatch(/pass 2\n.*fail 0/)
    expect(code).toBe(0)
    const [, line = ""] = /servers (\[.*\])/.exec(output) ?? []
    const pids = Array.from(line.matchAll(/"pid":(\d+)/g), ([, pid]) => Number(pid))
    if (process.env["HOLDFAST_SOURCE"] !== "url")
      await until(
        "the servers are gone",
        2_000,
        () => !pids.some(processExists) && temporary.list().length === 0
      )
  })

  test("a wrong count fails", { timeout: 240_000 }, async () => {
    const { code, output } = await runNodeTest({ SHALL_FAIL: "1" })
    expect(output).toContain("expected exactly 11 winners of 20 callers, got 10")
    expect(output).toMatch(/pass 1\n.*fail 1/)
    expect(code).toBe(1)
  })
})
