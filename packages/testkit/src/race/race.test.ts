import { AssertionError } from "node:assert"
import { Redis } from "ioredis"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startServices } from "../services/index.ts"
import { BarrierBroken, barrier } from "./barrier.ts"
import { expectExactly } from "./expect-exactly.ts"
import { race, RaceTimedOut } from "./race.ts"

class SoldOut extends Error {
  readonly _tag = "SoldOut"
}

const never = () => new Promise<never>(() => {})

describe("race", () => {
  let stop: () => Promise<void>
  let redis: Redis
  beforeAll(async () => {
    const services = await startServices({ sql: false })
    stop = () => services.stop()
    redis = new Redis(services.redis.url())
  })
  afterAll(async () => {
    redis.disconnect()
    await stop()
  })

  test("releases all callers before the first of them continues", async () => {
    const order: Array<string> = []
    await race(3, async (index) => {
      order.push(`start ${index}`)
      await Promise.resolve()
      order.push(`next ${index}`)
    })
    expect(order.slice(0, 3)).toEqual(["start 0", "start 1", "start 2"])
  })

  test("provokes a lost update on a real Redis, and none with an atomic decrement", async () => {
    await redis.set("race-test:stock", 50)
    const careless = await race(200, async () => {
      const left = Number(await redis.get("race-test:stock"))
      if (left <= 0) throw new SoldOut()
      await redis.set("race-test:stock", left - 1)
      return "sold"
    })
    expect(careless.fulfilled.length).toBeGreaterThan(50)
    expect(() => expectExactly(careless, 50)).toThrow(/expected exactly 50 winners of 200 callers, got 200/)

    await redis.set("race-test:stock", 50)
    const exact = await race(200, async () => {
      if ((await redis.decr("race-test:stock")) < 0) throw new SoldOut()
      return "sold"
    })
    expect(expectExactly(exact, 50)).toHaveLength(50)
    expectExactly(exact, 150, "SoldOut")
    expectExactly(exact, 50, (outcome) => outcome.status === "fulfilled" && outcome.value === "sold")
    expect(exact.counts()).toEqual({ SoldOut: 150, sold: 50 })
    expect([...exact.byTag().keys()]).toEqual(["SoldOut", "sold"])
    expect(exact.losers).toHaveLength(150)
  })

  test("lists all outcomes in the assertion's message", async () => {
    const result = await race(4, (index) => {
      if (index > 0) throw new SoldOut("nothing left")
      return "sold"
    })
    const fail = () => expectExactly(result, 2)
    expect(fail).toThrow(AssertionError)
    expect(fail).toThrow(
      "expected exactly 2 winners of 4 callers, got 1\n" +
        "  by outcome: SoldOut 3, sold 1\n" +
        "  first rejection (caller 1): Error: nothing left"
    )
  })

  test("returns outcomes in caller order and measures each caller from the common start", async () => {
    let prepared = 0
    const preparedAtStart: Array<number> = []
    const result = await race(
      3,
      async (index, caller) => {
        // The others wait for the first caller's long preparation, which does not count in any duration.
        if (index === 0) await new Promise((resolve) => setTimeout(resolve, 300))
        prepared += 1
        await caller.ready()
        preparedAtStart.push(prepared)
        return index
      },
      { barrier: "ready", won: (index) => index === 1 }
    )
    expect(result.outcomes.map((outcome) => outcome.caller)).toEqual([0, 1, 2])
    expect(result.winners.map((winner) => winner.value)).toEqual([1])
    expect(preparedAtStart).toEqual([3, 3, 3])
    expect(result.durationMs).toBeLessThan(250)
  })

  test("fails as a whole when a caller never becomes ready", async () => {
    const failing = race(
      3,
      async (index, caller) => {
        if (index === 1) throw new Error("no connection")
        await caller.ready()
      },
      { barrier: "ready" }
    )
    await expect(failing).rejects.toThrow(/2 of 3 callers arrived; caller 1 failed before it was ready/)
    await expect(failing).rejects.toMatchObject({
      _tag: "BarrierBroken",
      cause: { message: "no connection" }
    })
  })

  test("names the callers that hang, aborts them and keeps the other outcomes", async () => {
    let aborted = false
    const hanging = race(
      3,
      (index, caller) => {
        caller.signal.addEventListener("abort", () => (aborted = true))
        return index === 1 ? never() : "done"
      },
      { timeoutMs: 50 }
    )
    await expect(hanging).rejects.toBeInstanceOf(RaceTimedOut)
    await expect(hanging).rejects.toThrow(
      "1 of 3 callers still ran after 50 ms (callers 1); the others: done 2"
    )
    await expect(hanging).rejects.toMatchObject({
      pending: [1],
      result: { fulfilled: [{ caller: 0 }, { caller: 2 }] }
    })
    expect(aborted).toBe(true)
  })

  test("rejects with the reason of the aborting signal, and aborts its callers", async () => {
    const controller = new AbortController()
    const aborted: Array<number> = []
    const hanging = race(
      2,
      (index, { signal }) => {
        signal.addEventListener("abort", () => aborted.push(index))
        return never()
      },
      { signal: controller.signal }
    )
    controller.abort(new Error("the test is over"))
    await expect(hanging).rejects.toThrow("the test is over")
    expect(aborted).toEqual([0, 1])
    await expect(race(1, () => "too late", { signal: controller.signal })).rejects.toThrow("the test is over")
  })

  test("releases two races together over a shared barrier", async () => {
    const shared = barrier(4)
    const order: Array<string> = []
    const run = (name: string) => () => {
      order.push(name)
    }
    const first = race(2, run("a"), { barrier: shared })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(order).toEqual([])
    await Promise.all([first, race(2, run("b"), { barrier: shared })])
    expect(order).toEqual(["a", "a", "b", "b"])
  })
})

describe("barrier", () => {
  test("breaks at its deadline and tells how many arrived", async () => {
    const lonely = barrier(2, { timeoutMs: 20 })
    await expect(lonely.arrive()).rejects.toThrow(
      "the barrier never opened: 1 of 2 callers arrived; the deadline of 20 ms passed"
    )
    await expect(lonely.arrive()).rejects.toBeInstanceOf(BarrierBroken)
  })
})
