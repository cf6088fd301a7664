import { describe, expect, test } from "vitest"
import { Latencies } from "../faults/latency.ts"
import { randomStream, sfc32 } from "./random.ts"

const take = (count: number, next: () => number) => Array.from({ length: count }, next)

describe("randomStream", () => {
  test("returns the same numbers forever, so that an old seed still fails the same way", () => {
    expect(take(3, sfc32(1, 2, 3))).toEqual([4, 31, 56623170])
    expect(take(3, randomStream(7, "connection 1"))).toEqual([
      0.024742783047258854, 0.5803211224265397, 0.0340421951841563
    ])
  })

  test("differs by seed and by name", () => {
    const streams = [randomStream(1, "a"), randomStream(2, "a"), randomStream(1, "b")].map((next) =>
      take(4, next)
    )
    expect(new Set(streams.map(String)).size).toBe(3)
  })

  test("is spread evenly over 0 to 1", () => {
    const buckets = Array.from({ length: 10 }, () => 0)
    for (const number of take(100_000, randomStream(42, "spread"))) {
      const bucket = Math.floor(number * 10)
      buckets[bucket] = (buckets[bucket] ?? Number.NaN) + 1
    }
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })
})

describe("jitter", () => {
  test("is the same for the same seed, and independent for each connection and direction", () => {
    const draw = (seed: number, connection: number) => {
      const latencies = new Latencies(seed)
      latencies.add({ ms: { min: 5, max: 15 }, direction: "both" })
      const delays = take(5, () => latencies.delayMs("reply", connection, undefined))
      for (const delayMs of delays) expect(delayMs >= 5 && delayMs < 15).toBe(true)
      return String(delays)
    }
    expect(draw(1, 1)).toBe(draw(1, 1))
    expect(new Set([draw(1, 1), draw(2, 1), draw(1, 2)]).size).toBe(3)
  })
})
