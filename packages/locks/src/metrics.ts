import { Effect, Exit, Metric } from "effect"
import type { ReleaseOutcome } from "./backend.ts"

const milliseconds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]

const wait = Metric.histogram("holdfast_lock_wait_ms", {
  description: "From asking for a lock to having it",
  boundaries: milliseconds
})
const hold = Metric.histogram("holdfast_lock_hold_ms", {
  description: "From having a lock to giving it back",
  boundaries: milliseconds
})
const waiting = Metric.gauge("holdfast_lock_waiting", {
  description: "Callers of this process that wait for a lock"
})
const refused = Metric.counter("holdfast_lock_refused_total", {
  description: "Callers that did not get the lock: it was busy, or not free in time",
  incremental: true
})
const lost = Metric.counter("holdfast_lock_lost_total", {
  description: "Bodies stopped because their lock ended under them",
  incremental: true
})
const overrun = Metric.counter("holdfast_lock_overrun_total", {
  description: "Releases of locks that were not their holder's any more",
  incremental: true
})
const fallback = Metric.counter("holdfast_lock_fallback_total", {
  description: "Locks taken without Redis",
  incremental: true
})
const away = Metric.counter("holdfast_lock_store_away_total", {
  description: "How often Redis went away",
  incremental: true
})

export const storeWentAway: Effect.Effect<void> = Metric.update(away, 1)

/** The measurements of one scope. */
export interface LockMetrics {
  /** Measures the way to a lock. */
  readonly waiting: <A, E, R>(attempt: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly ended: (outcome: ReleaseOutcome, heldMs: number) => Effect.Effect<void>
  readonly fellBack: Effect.Effect<void>
  readonly lost: Effect.Effect<void>
}

const known = new Map<string, LockMetrics>()

/** One set a scope: their number is the number of a program's lock scopes. */
export const metricsOf = (scope: string): LockMetrics => {
  const existing = known.get(scope)
  if (existing !== undefined) return existing
  const made = makeMetrics(scope)
  known.set(scope, made)
  return made
}

const makeMetrics = (scope: string): LockMetrics => {
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
}
