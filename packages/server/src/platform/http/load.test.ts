import { eventually } from "@holdfast/testkit"
import { setTimeout } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { type Load, measureLoad, type Waits } from "./load.ts"

describe("the bound on the calls in flight", () => {
  const bounds = { maximumInFlight: 400, maximumDelayMs: 50 }
  const nothingWaits: Waits = { passDatabase: async () => {}, groupMs: () => 0 }
  const block = (ms: number) => {
    const endMs = performance.now() + ms
    while (performance.now() < endMs);
  }

  /** Whether another call is admitted beside as many as this. */
  const admitsBeside = (load: Load, calls: number): boolean => {
    load.begin(calls)
    const isExceeded = load.isExceeded()
    load.end(calls)
    return !isExceeded
  }

  // Guarantees: lateness alone sheds nobody. Callers who wait for their answers only wait for each other.
  test("does not fall while no call is shed, however late the calls are", async () => {
    const load = measureLoad(bounds, { ...nothingWaits, groupMs: () => 1_000 })
    load.begin(256)
    for (let turn = 0; turn < 10; turn += 1) {
      block(80)
      expect(load.isExceeded()).toBe(false)
      await setTimeout(1)
    }
    load.end(256)
    load.stop()
  })

  test("falls to a few when calls are many and late, and rises when none is shed any more", async () => {
    const load = measureLoad(bounds, nothingWaits)
    expect([admitsBeside(load, 399), admitsBeside(load, 400)]).toEqual([true, false])
    block(100)
    // Nothing was measured yet, but this very turn is late.
    expect([admitsBeside(load, 319), admitsBeside(load, 320)]).toEqual([true, false])
    await eventually(() => {
      admitsBeside(load, 320)
      block(100)
      expect(admitsBeside(load, 8)).toBe(false)
    })
    expect(admitsBeside(load, 7)).toBe(true)
    await eventually(() => expect(admitsBeside(load, 319)).toBe(true), { everyMs: 500, timeoutMs: 20_000 })
    load.stop()
  })

  test.each<[string, (wait: Promise<unknown>, ms: () => number) => Waits]>([
    ["for a connection to the database", (wait) => ({ ...nothingWaits, passDatabase: () => wait })],
    ["for a shared transaction", (_wait, groupMs) => ({ ...nothingWaits, groupMs })]
  ])("falls as well when calls wait %s", async (_what, waitsOf) => {
    const wait = Promise.withResolvers<void>()
    let waitMs = 1_000
    const load = measureLoad(
      bounds,
      waitsOf(wait.promise, () => waitMs)
    )
    load.begin(320)
    await eventually(() => expect(load.isExceeded()).toBe(true))
    await eventually(() => {
      load.isExceeded()
      load.end(320)
      const admits = admitsBeside(load, 8)
      load.begin(320)
      expect(admits).toBe(false)
    })
    load.end(320)
    wait.resolve()
    waitMs = 0
    await eventually(() => expect(admitsBeside(load, 319)).toBe(true), { everyMs: 500, timeoutMs: 20_000 })
    load.stop()
  })

  test("does not fall when only one turn was late", async () => {
    const load = measureLoad({ ...bounds, maximumDelayMs: 200 }, nothingWaits)
    load.begin(320)
    block(300)
    expect(load.isExceeded()).toBe(true)
    load.end(320)
    await setTimeout(50)
    expect(admitsBeside(load, 319)).toBe(true)
    load.stop()
  })

  test("is never above the one that is set", async () => {
    const load = measureLoad({ ...bounds, maximumInFlight: 2 }, { ...nothingWaits, groupMs: () => 1_000 })
    for (let turn = 0; turn < 10; turn += 1) {
      expect(admitsBeside(load, 2)).toBe(false)
      await setTimeout(10)
    }
    load.stop()
  })
})
