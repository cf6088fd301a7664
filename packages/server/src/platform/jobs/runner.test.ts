import { eventually } from "@holdfast/testkit"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { JobNotices, jobNoticesLayer } from "./notices.ts"
import { type Job, runJobs } from "./runner.ts"

const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)

/** Runs the jobs until `use` has ended. */
const running = async (jobs: ReadonlyArray<Job<never>>, use: () => Promise<void>, withinMs = 1_000) => {
  const { stop } = await run(runJobs(jobs))
  try {
    await use()
  } finally {
    await run(stop(withinMs))
  }
}

describe("jobs", () => {
  test("a run that fails or dies is followed by the next one", async () => {
    let runs = 0
    const shaky: Job<never> = {
      name: "shaky",
      intervalMs: 1,
      run: Effect.suspend(() => {
        runs += 1
        if (runs === 1) return Effect.fail(new Error("no"))
        if (runs === 2) return Effect.die(new Error("a bug"))
        return Effect.succeed(0)
      })
    }
    await running([shaky], () => eventually(() => expect(runs).toBeGreaterThan(4)))
  })

  test("runs follow each other at once while there is something to do", async () => {
    let left = 50
    const busy: Job<never> = {
      name: "busy",
      intervalMs: 60_000,
      run: Effect.sync(() => (left > 0 ? left-- : 0))
    }
    await running([busy], () => eventually(() => expect(left).toBe(0)))
  })

  test("a notice begins the next run of a job that would wait, also one that comes during a run", async () => {
    let runs = 0
    const idle: Job<never> = {
      name: "idle",
      intervalMs: 1,
      notice: { topic: "work", idleMs: 60_000 },
      run: Effect.flatMap(JobNotices, (notices) =>
        Effect.sync(() => {
          if (++runs < 3) notices.give("work")
          notices.give("other work")
          return 0
        })
      )
    }
    const { stop } = await run(Effect.provide(runJobs([idle]), jobNoticesLayer))
    await eventually(() => expect(runs).toBe(3))
    await run(stop(1_000))
    expect(runs).toBe(3)
  })

  test("a run that handled less than a batch is followed by a pause", async () => {
    let runs = 0
    const trickle: Job<never> = {
      name: "trickle",
      intervalMs: 60_000,
      batch: 10,
      run: Effect.sync(() => (++runs < 3 ? 10 : 9))
    }
    await running([trickle], () => eventually(() => expect(runs).toBe(3)))
    expect(runs).toBe(3)
  })

  test("a run past its deadline is interrupted, and the next one begins", async () => {
    let begun = 0
    let interrupted = 0
    const stuck: Job<never> = {
      name: "stuck",
      intervalMs: 1,
      deadlineMs: 20,
      run: Effect.suspend(() => {
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

  test("a stuck job does not hold up the others", async () => {
    let runs = 0
    const stuck: Job<never> = { name: "stuck", intervalMs: 1, run: Effect.never }
    const lively: Job<never> = { name: "lively", intervalMs: 1, run: Effect.sync(() => (++runs, 0)) }
    await running([stuck, lively], () => eventually(() => expect(runs).toBeGreaterThan(5)), 10)
  })

  test("stopping lets the current run finish and starts no other", async () => {
    const ended: Array<string> = []
    let finish = () => {}
    const slow: Job<never> = {
      name: "slow",
      intervalMs: 1,
      run: Effect.callback<number>((resume) => {
        ended.push("begun")
        finish = () => {
          ended.push("finished")
          resume(Effect.succeed(1))
        }
      })
    }
    const { stop } = await run(runJobs([slow]))
    await eventually(() => expect(ended).toEqual(["begun"]))
    const stopped = run(stop(5_000)).then(() => ended.push("stopped"))
    await new Promise((resolve) => setImmediate(resolve))
    finish()
    await stopped
    expect(ended).toEqual(["begun", "finished", "stopped"])
  })

  test("a run that does not finish in time is interrupted by the stop", async () => {
    let interrupted = false
    const endless: Job<never> = {
      name: "endless",
      intervalMs: 1,
      run: Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => void (interrupted = true))))
    }
    await running([endless], () => new Promise((resolve) => setImmediate(resolve)), 20)
    expect(interrupted).toBe(true)
  })

  test("stopping wakes a job that pauses", async () => {
    const lazy: Job<never> = { name: "lazy", intervalMs: 3_600_000, run: Effect.succeed(0) }
    const { stop } = await run(runJobs([lazy]))
    await new Promise((resolve) => setImmediate(resolve))
    const startedAtMs = performance.now()
    await run(stop(60_000))
    expect(performance.now() - startedAtMs).toBeLessThan(30_000)
  })
})
