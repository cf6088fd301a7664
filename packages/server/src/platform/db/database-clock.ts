import type { ServiceUnavailable } from "@holdfast/domain"
import { Clock, Context, Effect, Layer, Metric, Schedule } from "effect"
import { sql } from "kysely"
import { Database, db } from "./database.ts"

/** A clock that differs from the database's by more than this is reported. */
const TOLERATED_MS = 1_000

const MEASURED_EVERY = "5 seconds"

const ahead = Metric.gauge("holdfast_clock_ahead_ms", {
  description: "How far this process's clock is ahead of the database's; below 0 it is behind"
})

/**
 * The database's clock, as this process last measured it. Statements that decide read that clock themselves; this is for
 * what is decided without a statement, such as whether a token has expired.
 */
export class DatabaseClock extends Context.Service<
  DatabaseClock,
  {
    /** Milliseconds since 1970. Until the first measurement, the time of this process. */
    readonly nowMs: () => number
    /**
     * Asks the database. Returns by how many milliseconds this process's clock is ahead, where that is more than a
     * second either way beyond doubt, else 0. The log says when that begins and ends.
     */
    readonly measure: Effect.Effect<number, ServiceUnavailable>
    /** What the last measurement returned. */
    readonly differsMs: () => number
  }
>()("@holdfast/server/DatabaseClock") {
  static readonly layer: Layer.Layer<DatabaseClock, never, Database> = Layer.effect(
    DatabaseClock,
    Effect.gen(function* () {
      const context = yield* Effect.context<Database>()
      const clock = makeClock()
      const measure = Effect.provideContext(clock.measure, context)
      yield* Effect.forkScoped(Effect.repeat(Effect.ignore(measure), Schedule.spaced(MEASURED_EVERY)))
      return { ...clock, measure }
    })
  )
}

/** The database's time, asked now. */
export const databaseNow = Effect.map(
  db.first(() => sql<{ readonly now: Date }>`select sysdate(3) as now`),
  (row) => row!.now
)

const makeClock = () => {
  /** What the database's clock shows when the monotonic one is at 0; steps of the process's own clock do not matter. */
  let originMs: number | undefined
  let reportedMs = 0

  const measure = Effect.gen(function* () {
    const askedAtMs = performance.now()
    const answered = yield* databaseNow
    const halfTripMs = (performance.now() - askedAtMs) / 2
    const databaseMs = answered.getTime() + halfTripMs
    originMs = databaseMs - performance.now()
    const aheadMs = Math.round((yield* Clock.currentTimeMillis) - databaseMs)
    yield* Metric.update(ahead, aheadMs)
    const differsMs = Math.abs(aheadMs) - halfTripMs > TOLERATED_MS ? aheadMs : 0
    if (differsMs !== 0 && reportedMs === 0)
      yield* Effect.logWarning("the clock of this process differs from the database's, which decides", {
        aheadMs
      })
    if (differsMs === 0 && reportedMs !== 0)
      yield* Effect.logInfo("the clock of this process agrees with the database's again")
    reportedMs = differsMs
    return differsMs
  })

  const nowMs = () => (originMs === undefined ? Date.now() : originMs + performance.now())
  return { measure, nowMs, differsMs: () => reportedMs }
}
