import { describe, expect, test } from "vitest"
import { runCommand } from "./testing/command.ts"

/** Prints the URL of each module that the process loads. */
const TRACE_MODULES = `
  import { registerHooks } from "node:module"
  registerHooks({ load: (url, context, next) => (console.error("module", url), next(url, context)) })`

const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(TRACE_MODULES)}`

describe("the command tree", { timeout: 60_000 }, () => {
  test.each([
    ["start", /^ {2}npm run start -- \[flags\]$/m],
    ["demo", /^ {2}--users N +users who race, 2 to 5000 \(default 1000\)$/m],
    ["replay", /^ {2}--workers N +concurrent calls, 1 to 1000 \(default 32\)$/m],
    ["verify", /^ {2}--database URL +mysql:.*\(default HOLDFAST_MYSQL_URL, else /m],
    ["bench locks", /^ {2}--turn-ms N +length of a turn in milliseconds, 1 to 600000 \(default 3000\)$/m],
    ["soak faults", /^ {2}--minutes N +how long faults begin, in minutes, up to 10000 \(default 30\)$/m],
    ["soak locks", /^ {2}--rounds N +rounds of faults, 1 to \d+ \(default 10000\)$/m]
  ])("describes a command without loading its implementation: %s", async (name, line) => {
    const [command = "", ...rest] = name.split(" ")
    const { code, stderr, stdout } = await runCommand(command, [...rest, "--help"], { NODE_OPTIONS }).ended
    expect(code).toBe(0)
    expect(stdout).toMatch(line)
    expect(stderr).toMatch(/^module file:.*\/tools\/src\/cli\.ts$/m)
    expect(stderr).not.toMatch(/^module file:.*\/(packages|tools\/bench)\//m)
  })

  test("names an unknown command and exits with 2", async () => {
    const { code, stderr, stdout } = await runCommand("frobnicate", [], {}).ended
    expect(code).toBe(2)
    expect(stderr).toContain('Unknown subcommand "frobnicate"')
    expect(stdout).toBe("")
  })
})
