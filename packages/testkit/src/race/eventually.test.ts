import { describe, expect, test } from "vitest"
import { eventually, EventuallyFailed } from "./eventually.ts"

describe("eventually", () => {
  test("retries until the assertion holds and returns its result", async () => {
    let attempts = 0
    const answer = await eventually(
      () => {
        attempts += 1
        if (attempts < 3) throw new Error("not yet")
        return attempts
      },
      { everyMs: 1 }
    )
    expect(answer).toBe(3)
  })

  test("treats false as not yet and undefined as done", async () => {
    let open = false
    setTimeout(() => (open = true), 20)
    expect(await eventually(() => open)).toBe(true)
    expect(await eventually(() => {})).toBeUndefined()
  })

  test("fails at the deadline with the last failure and the number of attempts", async () => {
    const failing = eventually(() => expect(1).toBe(2), { timeoutMs: 30, everyMs: 5 })
    await expect(failing).rejects.toBeInstanceOf(EventuallyFailed)
    await expect(failing).rejects.toThrow(/not true within 30 ms \(\d+ attempts\); last: expected 1 to be 2/)
  })

  test("ends an attempt that hangs and aborts its signal", async () => {
    let aborted = false
    const hanging = eventually(
      (signal) => {
        signal.addEventListener("abort", () => (aborted = true))
        return new Promise<boolean>(() => {})
      },
      { timeoutMs: 20 }
    )
    await expect(hanging).rejects.toThrow(/still running at the deadline/)
    expect(aborted).toBe(true)
  })
})
