import { Effect, Exit, Metric } from "effect"
import type { ReleaseOutcome } from "./backend.ts"
import { memoizeByName } from "./memoize-by-name.ts"

const boundaries = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]
const milliseconds = (id: string, description: string) => Metric.histogram(id, { description, boundaries })
const count = (id: string, description: string) => Metric.counter(id, { description, incremental: true })

const wait = milliseconds("holdfast_lock_wait_ms", "From asking for a lock to having it")
const hold = milliseconds("holdfast_lock_hold_ms", "From having a lock to releasing it")
const waiting = Metric.gauge("holdfast_lock_waiting", {
  description: "Callers of this process that wait for a lock"
})
const refused = count(
  "holdfast_lock_refused_total",
  "Callers that did not get the lock: it was busy, or not free in time"
)
const lost = count("holdfast_lock_lost_total", "Bodies that were stopped because their lock ended")
const overrun = count("holdfast_lock_overrun_total", "Releases by a holder that no longer had the lock")
const fallback = count("holdfast_lock_fallback_total", "Locks that were taken without Redis")

/** The measurements of one scope. */
export interface LockMetrics {
  /** Measures an acquisition. */
  readonly waiting: <A, E, R>(attempt: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly ended: (outcome: ReleaseOutcome, heldMs: number) => Effect.Effect<void>
  readonly fellBack: Effect.Effect<void>
  readonly lost: Effect.Effect<void>
}

/** The metrics of a scope, labelled with its name. */
export const metricsOf = memoizeByName((scope): LockMetrics => {
  const attributes = { scope }
  const waitOf = Metric.withAttributes(wait, attributes)
  const holdOf = Metric.withAttributes(hold, attributes)
  const waitingOf = Metric.withAttributes(waiting, attributes)
  const refusedOf = Metric.withAttributes(refused, attributes)
  const overrunOf = Metric.withAttributes(overrun, attributes)
  let waitingNow = 0
  return {
    waiting: (attempt) =>
      Effect.withFiber(({ context }) => {
        const startedAtMs = performance.now()
        waitingOf.updateUnsafe((waitingNow += 1), context)
        return Effect.onExit(attempt, (exit) => {
          waitingOf.updateUnsafe((waitingNow -= 1), context)
          if (Exit.isSuccess(exit)) waitOf.updateUnsafe(performance.now() - startedAtMs, context)
          else refusedOf.updateUnsafe(1, context)
          return Effect.void
        })
      }),
    ended: (outcome, heldMs) =>
      Effect.withFiber(({ context }) => {
        holdOf.updateUnsafe(heldMs, context)
        if (outcome._tag === "Overrun") overrunOf.updateUnsafe(1, context)
        return Effect.void
      }),
    fellBack: Metric.update(Metric.withAttributes(fallback, attributes), 1),
    lost: Metric.update(Metric.withAttributes(lost, attributes), 1)
  }
})
