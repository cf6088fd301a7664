import { describe, expect, test } from "vitest"
import { interleave, InterleaveTimedOut } from "./interleave.ts"
import { InjectionTimedOut, StepNotReached, stepPoints } from "./steps.ts"

const never = () => new Promise<never>(() => {})

/** A read-modify-write that fails only when another write happens between its two halves. */
const account = () => {
  const state = { balance: 100 }
  const withdraw = async (amount: number, onFailpoint: (name: string) => Promise<void> = async () => {}) => {
    const { balance } = state
    await onFailpoint("read")
    state.balance = balance - amount
    await onFailpoint("written")
    return state.balance
  }
  return { state, withdraw }
}

describe("interleave", () => {
  test("runs the injected code exactly between two steps, every time", async () => {
    for (let round = 0; round < 50; round += 1) {
      const { state, withdraw } = account()
      const result = await interleave((steps) => withdraw(10, steps.reached), {
        before: { read: () => withdraw(30) }
      })
      expect(result.main).toEqual({ status: "fulfilled", value: 90 })
      expect(result.injected).toEqual({ read: { status: "fulfilled", value: 70 } })
      expect(state.balance).toBe(90)
    }
  })

  test("holds the step until the code before it has ended, and continues only after the code after it", async () => {
    const order: Array<string> = []
    const note = (what: string) => async () => {
      order.push(`${what} begins`)
      await new Promise((resolve) => setTimeout(resolve, 5))
      order.push(`${what} ends`)
    }
    const result = await interleave(
      async (steps) => {
        await steps.step("commit", note("commit"))
        order.push("main goes on")
      },
      { before: { commit: note("before") } }
    )
    await interleave((steps) => steps.step("commit", note("commit")), { after: { commit: note("after") } })
    expect(result.passed).toEqual(["commit"])
    expect(order).toEqual([
      "before begins",
      "before ends",
      "commit begins",
      "commit ends",
      "main goes on",
      "commit begins",
      "commit ends",
      "after begins",
      "after ends"
    ])
  })

  test("lets code alongside block on a lock of the main side", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<string>()
    const result = await interleave(
      async (steps) => {
        await steps.reached("locked")
        release("mine now")
      },
      { alongside: { locked: () => released } }
    )
    expect(result.injected).toEqual({ locked: { status: "fulfilled", value: "mine now" } })
  })

  test("names the step that was not reached and the steps that were", async () => {
    const missing = interleave(
      async (steps) => {
        await steps.reached("read")
        await steps.reached("written")
      },
      { before: { commit: () => {} } }
    )
    await expect(missing).rejects.toBeInstanceOf(StepNotReached)
    await expect(missing).rejects.toThrow(
      'step "commit" was not reached before the steps were closed; reached were: read, written'
    )
  })

  test("reports injected code that hangs, and lets the held side continue", async () => {
    let wentOn = false
    const hanging = interleave(
      async (steps) => {
        await steps.reached("read")
        wentOn = true
      },
      { before: { read: never }, stepTimeoutMs: 20 }
    )
    await expect(hanging).rejects.toBeInstanceOf(InjectionTimedOut)
    expect(wentOn).toBe(true)
  })

  test("times out when the main side hangs", async () => {
    await expect(interleave(never, { timeoutMs: 20 })).rejects.toBeInstanceOf(InterleaveTimedOut)
  })

  test("returns the errors of both sides as outcomes", async () => {
    const result = await interleave(
      async (steps) => {
        await steps.reached("read")
        throw new Error("main lost")
      },
      {
        before: {
          read: () => {
            throw new Error("injected lost")
          }
        }
      }
    )
    expect(result.main).toMatchObject({ status: "rejected", reason: { message: "main lost" } })
    expect(result.injected).toMatchObject({
      read: { status: "rejected", reason: { message: "injected lost" } }
    })
  })
})

describe("stepPoints", () => {
  test("runs the injected code at the nth passing only", async () => {
    const steps = stepPoints()
    const seen: Array<number> = []
    const second = steps.before("try", () => seen.push(steps.passed.length), { nth: 2 })
    for (let round = 0; round < 3; round += 1) await steps.reached("try")
    await second.done
    expect(seen).toEqual([2])
  })

  test("rejects at the deadline when the step is not reached", async () => {
    const steps = stepPoints({ timeoutMs: 20 })
    await expect(steps.before("commit", () => {}).done).rejects.toThrow(
      'step "commit" was not reached within 20 ms; no step was reached at all'
    )
    await steps.reached("commit")
  })
})
