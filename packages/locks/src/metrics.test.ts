import { LockLost } from "@holdfast/domain/locks"
import { eventually } from "@holdfast/testkit"
import { Effect, Exit, Metric, Tracer } from "effect"
import { expect, test } from "vitest"
import { redisFixture } from "../test/fixture.ts"
import { brief, free, gate, hasty, once, type TestLocks, turn } from "../test/members.ts"
import { withLock } from "./with-lock.ts"

const redis = redisFixture()

/** The measurements of one test alone. */
const measurements = () => {
  const registry: typeof Metric.MetricRegistry.Service = new Map()
  const measured = <A, E>(effect: Effect.Effect<A, E, TestLocks>) =>
    Effect.provideService(effect, Metric.MetricRegistry, registry)
  const state = (id: string, scope?: string) => {
    const metrics = Effect.runSync(Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry))
    return metrics.find((metric) => metric.id === id && metric.attributes?.["scope"] === scope)?.state
  }
  return { measured, state }
}

test("metrics show by scope how long callers waited and held, and how many wait now", async () => {
  const { measured, state } = measurements()
  const { run } = redis.member()
  const holder = gate()
  const held = run(measured(withLock(turn, "a")(holder.passed)))
  await eventually(() => expect(state("holdfast_lock_wait_ms", "turn")).toMatchObject({ count: 1 }))
  const waiting = [1, 2, 3].map(() => run(measured(withLock(turn, "a")(Effect.void))))
  await eventually(() => expect(state("holdfast_lock_waiting", "turn")).toEqual({ value: 3 }))
  await run(measured(withLock(brief, "a")(Effect.void)))
  const heldForMs = 50
  await new Promise((resolve) => setTimeout(resolve, heldForMs))
  holder.open()
  await Promise.all([held, ...waiting])

  expect(state("holdfast_lock_waiting", "turn")).toEqual({ value: 0 })
  expect(state("holdfast_lock_wait_ms", "turn")).toMatchObject({ count: 4 })
  expect(state("holdfast_lock_hold_ms", "turn")).toMatchObject({ count: 4 })
  expect(state("holdfast_lock_wait_ms", "brief")).toMatchObject({ count: 1 })
  for (const id of ["holdfast_lock_wait_ms", "holdfast_lock_hold_ms"]) {
    const { max } = state(id, "turn") as { readonly max: number }
    expect(max).toBeGreaterThanOrEqual(heldForMs)
  }
})

test("metrics count refused callers, lost locks and releases after the end of the lock", async () => {
  const { measured, state } = measurements()
  const { exit, run } = redis.member()
  const holder = gate()
  const held = [once, hasty].map((scope) => run(measured(withLock(scope, "a")(holder.passed))))
  await eventually(async () => expect(await redis.plain.exists("mutex:once:a", "mutex:hasty:a")).toBe(2))
  for (const scope of [once, once, hasty]) {
    expect(Exit.isFailure(await exit(measured(withLock(scope, "a")(Effect.void))))).toBe(true)
  }
  holder.open()
  await Promise.all(held)
  expect(state("holdfast_lock_refused_total", "once")).toMatchObject({ count: 2 })
  expect(state("holdfast_lock_refused_total", "hasty")).toMatchObject({ count: 1 })

  const removed = Effect.promise(() => redis.plain.del("mutex:brief:a"))
  const lost = await run(measured(Effect.flip(withLock(brief, "a")(Effect.andThen(removed, Effect.never)))))
  expect(lost).toBeInstanceOf(LockLost)
  expect(state("holdfast_lock_lost_total", "brief")).toMatchObject({ count: 1 })
  expect(state("holdfast_lock_overrun_total", "brief")).toMatchObject({ count: 1 })
  expect(state("holdfast_lock_overrun_total", "once")).toBeUndefined()
})

test("metrics count locks taken without Redis, and how often it went away", async () => {
  const { measured, state } = measurements()
  const { run } = redis.member({}, "redis://127.0.0.1:1")
  await run(measured(withLock(free, "a")(Effect.void)))
  await run(measured(withLock(free, "b")(Effect.void)))
  expect(state("holdfast_lock_fallback_total", "free")).toMatchObject({ count: 2 })
  expect(state("holdfast_lock_store_away_total")).toMatchObject({ count: 1 })
})

test("every body runs in a span that names its scope", async () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const inside = Effect.withSpan(Effect.void, "work")
  await redis
    .member()
    .run(withLock(turn, "a")(inside).pipe(Effect.withSpan("request"), Effect.withTracer(tracer)))
  expect(spans.map(({ name }) => name)).toEqual(["request", "lock.hold", "work"])
  const [request, hold, work] = spans
  expect(hold?.attributes.get("lock.scope")).toBe("turn")
  expect(hold?.parent).toMatchObject({ value: { spanId: request?.spanId } })
  expect(work?.parent).toMatchObject({ value: { spanId: hold?.spanId } })
  expect(hold?.status._tag).toBe("Ended")
})
