import { eventually } from "@holdfast/testkit"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { runJobs } from "./runner.ts"
import type { Job } from "./job.ts"

const quiet = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)

/** Runs workers for as long as `use` takes. */
const running = async (workers: ReadonlyArray<Job<never>>, use: () => Promise<void>, withinMs = 1_000) => {
  const { stop } = await quiet(runJobs(workers))
  try {
    await use()
  } finally {
    await quiet(stop(withinMs))
  }
}

describe("workers", () => {
  test("a round that fails or dies is followed by the next one", async () => {
    let rounds = 0
    const shaky: Job<never> = {
      name: "shaky",
      everyMs: 1,
      round: Effect.suspend(() => {
        rounds += 1
        if (rounds === 1) return Effect.fail(new Error("no"))
        if (rounds === 2) return Effect.die(new Error("a bug"))
        return Effect.succeed(0)
      })
    }
    await running([shaky], () => eventually(() => expect(rounds).toBeGreaterThan(4)))
  })

  test("as long as there is something to do, rounds follow each other at once", async () => {
    let left = 50
    const busy: Job<never> = {
      name: "busy",
      everyMs: 60_000,
      round: Effect.sync(() => (left > 0 ? left-- : 0))
    }
    await running([busy], () => eventually(() => expect(left).toBe(0)))
  })

  test("a round past its deadline is interrupted, and the next one begins", async () => {
    let begun = 0
    let interrupted = 0
    const stuck: Job<never> = {
      name: "stuck",
      everyMs: 1,
      deadlineMs: 20,
      round: Effect.suspend(() => {
        begun += 1
        return Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => void (interrupted += 1))))
      })
    }
    await running([stuck], () =>
      eventually(() => {
        expect(begun).toBeGreaterThan(1)
        expect(interrupted).toBeGreaterThan(0)
      })
    )
  })

  test("one worker that is stuck does not hold up the others", async () => {
    let rounds = 0
    const stuck: Job<never> = { name: "stuck", everyMs: 1, round: Effect.never }
    const lively: Job<never> = { name: "lively", everyMs: 1, round: Effect.sync(() => (++rounds, 0)) }
    await running([stuck, lively], () => eventually(() => expect(rounds).toBeGreaterThan(5)), 10)
  })

  test("stopping lets the round under way finish and begins no other", async () => {
    const ended: Array<string> = []
    let finish = () => {}
    const slow: Job<never> = {
      name: "slow",
      everyMs: 1,
      round: Effect.callback<number>((resume) => {
        ended.push("begun")
        finish = () => {
          ended.push("finished")
          resume(Effect.succeed(1))
        }
      })
    }
    const { stop } = await quiet(runJobs([slow]))
    await eventually(() => expect(ended).toEqual(["begun"]))
    const stopped = quiet(stop(5_000)).then(() => ended.push("stopped"))
    await new Promise((resolve) => setImmediate(resolve))
    finish()
    await stopped
    expect(ended).toEqual(["begun", "finished", "stopped"])
  })

  test("a round that does not finish in time is interrupted by the stop", async () => {
    let interrupted = false
    const endless: Job<never> = {
      name: "endless",
      everyMs: 1,
      round: Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => void (interrupted = true))))
    }
    await running([endless], () => new Promise((resolve) => setImmediate(resolve)), 20)
    expect(interrupted).toBe(true)
  })

  test("stopping wakes a worker that pauses", async () => {
    const lazy: Job<never> = { name: "lazy", everyMs: 3_600_000, round: Effect.succeed(0) }
    const { stop } = await quiet(runJobs([lazy]))
    await new Promise((resolve) => setImmediate(resolve))
    const startedAtMs = performance.now()
    await quiet(stop(60_000))
    expect(performance.now() - startedAtMs).toBeLessThan(30_000)
  })
})
