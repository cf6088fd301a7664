import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { crashAt, CrashNotReached } from "./crash-at.ts"
import { crashPoint } from "../crash-point/index.ts"
import { eventually } from "./eventually.ts"

const module = new URL("./testing/crashing-program.ts", import.meta.url)

describe("crashAt", () => {
  let directory: string
  let counter: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "crash-at-test-"))
    counter = join(directory, "counter")
    writeFileSync(counter, "0")
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  test("kills the process exactly at the step, with no exit handler run", async () => {
    await using before = crashAt("beforeWrite", { module, args: [counter] })
    const death = await before.died
    expect(death).toMatchObject({
      step: "beforeWrite",
      nth: 1,
      signal: "SIGKILL",
      passed: ["beforeWrite"],
      stdout: ""
    })
    expect(() => process.kill(death.pid, 0)).toThrow("ESRCH")
    expect(readFileSync(counter, "utf8")).toBe("0")
    expect(existsSync(`${counter}.exit`)).toBe(false)

    await using after = crashAt("afterWrite", { module, args: [counter] })
    await after.died
    expect(readFileSync(counter, "utf8")).toBe("1")
  })

  test("crashes at the nth passing, again elsewhere, and then runs to its end", async () => {
    await using first = crashAt("afterWrite", { module, args: [counter], nth: 2 })
    expect((await first.died).passed).toEqual(["beforeWrite", "afterWrite", "beforeWrite", "afterWrite"])
    expect(readFileSync(counter, "utf8")).toBe("2")

    await using second = await first.crashAgain("beforeWrite", 3)
    await second.died
    expect(readFileSync(counter, "utf8")).toBe("4")

    await using last = await second.again()
    expect(await last.exited).toMatchObject({ code: 0, signal: null, stdout: "finished\n" })
    expect(readFileSync(counter, "utf8")).toBe("7")
  })

  test("rejects when the process ends without passing the step", async () => {
    await using run = crashAt("afterCommit", { module, args: [counter] })
    await expect(run.died).rejects.toBeInstanceOf(CrashNotReached)
    await expect(run.died).rejects.toThrow(
      /did not reach "afterCommit": it ended with code 0; it passed: beforeWrite, afterWrite/
    )
  })

  test("does not mistake another death for the crash, and shows why the process died", async () => {
    await using run = crashAt("beforeWrite", { module, args: [join(directory, "missing")] })
    await expect(run.died).rejects.toThrow(/it ended with code 1; it passed no step\n[^]*ENOENT/)
    await using killed = crashAt("never", { module, args: [counter, "stay"] })
    await killed.output(/finished/)
    killed.kill("SIGKILL")
    await expect(killed.died).rejects.toThrow(/did not reach "never": it ended with SIGKILL/)
  })

  test("kills a process that outlives its deadline", async () => {
    await using run = crashAt("never", { module, args: [counter, "stay"], timeoutMs: 1_500 })
    await expect(run.died).rejects.toThrow(/it still ran after 1500 ms and was killed/)
  })

  test("kills the program when the test run is killed", async () => {
    const parentModule = new URL("./testing/crashing-parent.ts", import.meta.url)
    // A killed run cannot remove its temporary directory, so it lies in the directory of this test.
    const options = { module: parentModule, args: [counter], env: { TMPDIR: directory } }
    await using parent = crashAt("never", options)
    const [, pid] = await parent.output(/child (\d+)/)
    expect(process.kill(Number(pid), 0)).toBe(true)
    parent.kill("SIGKILL")
    await eventually(() => expect(() => process.kill(Number(pid), 0)).toThrow("ESRCH"))
  })

  test("does nothing when no crash is requested", () => {
    crashPoint("beforeWrite")
  })
})
