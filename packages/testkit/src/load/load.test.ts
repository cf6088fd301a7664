import { Redis } from "ioredis"
import { describe, expect, test } from "vitest"
import { faultProxy } from "../faults/proxy.ts"
import { pause } from "../internal/promises.ts"
import { startServices } from "../services/index.ts"
import { arrivals } from "./arrivals.ts"
import { Latencies, loadHistograms } from "./latencies.ts"
import { load } from "./load.ts"

describe("load", () => {
  test("keeps its rate however slow the calls are, and counts each one", async () => {
    let calls = 0
    const startsMs: Array<number> = []
    const report = await load({
      rate: 200,
      durationMs: 1_000,
      fn: async ({ index, intendedMs }) => {
        calls += 1
        startsMs[index] = intendedMs
        await pause(300)
      }
    })
    expect(calls).toBe(200)
    expect(report.calls).toEqual({ intended: 200, succeeded: 200, failed: 0, unfinished: 0 })
    expect(startsMs).toEqual(Array.from({ length: 200 }, (_, index) => index * 5))
    expect(report.peakInFlight).toBeGreaterThan(30)
    expect(report.latency.count).toBe(200)
    expect(report.latency.p50).toBeGreaterThanOrEqual(299)
  })

  test("counts a stall against all calls that waited, not only against the one in flight", async () => {
    // One call occupies the only slot for half of the run: a closed loop would record a single slow call.
    const report = await load({
      rate: 200,
      durationMs: 1_000,
      maxInFlight: 1,
      fn: ({ index }) => (index === 20 ? pause(500) : undefined)
    })
    expect(report.calls).toMatchObject({ intended: 200, succeeded: 200 })
    expect(report.peakInFlight).toBe(1)
    expect(report.service.p90).toBeLessThan(100)
    // About 100 calls were due during the stall, and waited up to 500 ms, evenly distributed.
    expect(report.latency.p90).toBeGreaterThan(300)
    expect(report.startDelay.p90).toBeGreaterThan(300)
    expect(report.latency.max).toBeGreaterThanOrEqual(499)
  })

  test("shows a frozen Redis in the interval of the freeze", async () => {
    await using services = await startServices({ sql: false })
    await using proxy = await faultProxy({ upstream: services.redis, protocol: "redis" })
    const redis = new Redis({ host: proxy.host, port: proxy.port })
    try {
      await redis.ping()
      const startedAt = performance.now()
      const freeze = async () => {
        await pause(400)
        proxy.freeze()
        const frozenMs = performance.now() - startedAt
        await pause(300)
        const thawedMs = performance.now() - startedAt
        proxy.thaw()
        return { frozenMs, thawedMs }
      }
      const freezing = freeze()
      const report = await load({
        rate: 400,
        durationMs: 1_000,
        arrivals: "poisson",
        seed: 3,
        fn: () => redis.ping()
      })
      const { frozenMs, thawedMs } = await freezing
      expect(report.calls.succeeded).toBe(report.calls.intended)
      expect(Math.abs(report.calls.intended - 400)).toBeLessThan(100)
      // A call that was due while Redis was frozen waited at least for the thaw.
      const widthMs = report.intervals[1]?.fromMs ?? 0
      const frozen = report.intervals.filter(
        ({ fromMs }) => fromMs > frozenMs && fromMs + widthMs < Math.min(thawedMs, 1_000)
      )
      expect(frozen.length).toBeGreaterThan(0)
      for (const { fromMs, p50 } of frozen) expect(p50).toBeGreaterThan((thawedMs - fromMs - widthMs) * 0.95)
      expect(report.latency.p50).toBeLessThan(report.latency.p99)
    } finally {
      redis.disconnect()
    }
  })

  test("counts failures by tag and does not throw them", async () => {
    const report = await load({
      rate: 100,
      durationMs: 200,
      fn: ({ index }) => {
        if (index % 4 === 0) throw Object.assign(new Error("sold out"), { _tag: "SoldOut" })
        if (index % 4 === 1) return Promise.reject(new TypeError("broken"))
        return undefined
      }
    })
    expect(report.calls).toEqual({ intended: 20, succeeded: 10, failed: 10, unfinished: 0 })
    expect(report.failures).toEqual({ SoldOut: 5, TypeError: 5 })
  })

  test("ends with calls that hang, aborts their signals, and counts their wait so far", async () => {
    let aborted = 0
    const report = await load({
      rate: 100,
      durationMs: 200,
      drainMs: 100,
      maxInFlight: 5,
      fn: ({ signal }) => {
        signal.addEventListener("abort", () => (aborted += 1))
        return new Promise(() => {})
      }
    })
    expect(report.calls).toEqual({ intended: 20, succeeded: 0, failed: 0, unfinished: 20 })
    expect(aborted).toBe(5)
    expect(report.latency.count).toBe(20)
    // The first call was due at 0 ms, the last at 190 ms; the run ended at 300 ms.
    expect(report.latency.p50).toBeGreaterThan(150)
    expect(report.latency.max).toBeGreaterThanOrEqual(299)
    expect(report.completedPerSecond).toBe(0)
  })

  test("reports as plain JSON and as a self-contained SVG document", async () => {
    const report = await load({
      rate: 200,
      durationMs: 300,
      fn: ({ index }) => (index % 10 === 0 ? Promise.reject(new Error("no")) : pause(index % 7))
    })
    const data: unknown = JSON.parse(JSON.stringify(report))
    expect(data).toMatchObject({ ratePerSecond: 200, durationMs: 300, calls: { intended: 60, failed: 6 } })
    expect(data).not.toHaveProperty("toSvg")
    const svg = report.toSvg('Orders & <payments> "now"')
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    expect(svg).toContain("Orders &amp; &lt;payments&gt; &quot;now&quot;")
    expect(svg).toContain("54 succeeded, 6 failed")
    expect(svg).not.toMatch(/NaN|Infinity|undefined|href|<script/)
    expect(svg.match(/<polyline/g)).toHaveLength(4)
  })

  test("refuses invalid options", async () => {
    await expect(load({ rate: 0, durationMs: 10, fn: () => {} })).rejects.toThrow(RangeError)
    await expect(load({ rate: 1, durationMs: Number.NaN, fn: () => {} })).rejects.toThrow(RangeError)
    await expect(load({ rate: 1, durationMs: Infinity, fn: () => {} })).rejects.toThrow(RangeError)
  })
})

describe("arrivals", () => {
  test("come at the rate, in the requested number, the same for the same seed", () => {
    expect([...arrivals("constant", 3, 1_000, 1)]).toHaveLength(3)
    expect([...arrivals("constant", 1_000, 60_000, 1)].at(-1)).toBe(59_999)
    const poisson = [...arrivals("poisson", 1_000, 10_000, 5)]
    expect(Math.abs(poisson.length - 10_000)).toBeLessThan(400)
    expect(poisson).toEqual(poisson.toSorted((left, right) => left - right))
    expect([...arrivals("poisson", 1_000, 10_000, 5)]).toEqual(poisson)
    expect([...arrivals("poisson", 1_000, 10_000, 6)]).not.toEqual(poisson)
    // The standard deviation of exponential gaps equals their mean.
    const gaps = poisson.slice(1).map((atMs, index) => atMs - (poisson[index] ?? 0))
    const variance = gaps.reduce((sum, gap) => sum + (gap - 1) ** 2, 0) / gaps.length
    expect(Math.abs(Math.sqrt(variance) - 1)).toBeLessThan(0.1)
  })
})

describe("latencies", () => {
  test("keep three digits from a microsecond to an hour", async () => {
    await loadHistograms()
    const latencies = new Latencies()
    expect(latencies.summary()).toMatchObject({ count: 0, mean: 0, p50: 0, max: 0 })
    for (let ms = 1; ms <= 1_000; ms += 1) latencies.recordMs(ms)
    const { count, p50, p90, p99, p999, max, mean } = latencies.summary()
    expect(count).toBe(1_000)
    for (const [found, exact] of [
      [p50, 500],
      [p90, 900],
      [p99, 990],
      [p999, 999],
      [max, 1_000],
      [mean, 500.5]
    ] as const)
      expect(Math.abs(found - exact) / exact).toBeLessThan(0.001)
    latencies.recordMs(10_000_000)
    expect(latencies.summary().max / 3_600_000).toBeCloseTo(1, 2)
    expect(latencies.curve().at(-1)?.percentile).toBeLessThan(99.95)
  })
})
