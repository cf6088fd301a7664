import { Effect, Metric } from "effect"
import { sql } from "kysely"
import { tx } from "../db/transaction.ts"

/** Events that one run tries again. */
const BATCH = 20

/** The pause before the next attempt doubles with each one, up to this. */
const LONGEST_PAUSE_S = 3_600

const REASON_LENGTH = 200

/** An event that a consumer could not handle. */
export interface Failure {
  readonly eventId: number
  readonly reason: string
}

const failures = Metric.counter("holdfast_events_set_aside_total", {
  description: "Events that a consumer could not handle and set aside, each failed attempt counted",
  incremental: true
})

/** Sets events aside with the reason, or puts off those that are set aside already. */
export const setAside = Effect.fnUntraced(function* (consumer: string, failed: ReadonlyArray<Failure>) {
  if (failed.length === 0) return
  yield* tx.affected((q) =>
    q
      .insertInto("set_aside_events")
      .values(
        failed.map(({ eventId, reason }) => ({
          consumer,
          event_id: eventId,
          reason: reason.slice(0, REASON_LENGTH),
          next_attempt_at: pauseAfter(sql`1`)
        }))
      )
      .onDuplicateKeyUpdate({
        reason: sql`values(reason)`,
        next_attempt_at: pauseAfter(sql`attempts + 1`),
        attempts: sql`attempts + 1`
      })
  )
  yield* Metric.update(Metric.withAttributes(failures, { consumer }), failed.length)
  yield* Effect.logWarning("events were set aside and will be tried again", {
    consumer,
    count: failed.length,
    first: failed[0]
  })
})

const pauseAfter = (attempts: ReturnType<typeof sql>) =>
  sql<Date>`utc_timestamp(3) + interval least(${LONGEST_PAUSE_S}, 5 * pow(2, least(${attempts}, 20) - 1)) second`

/** Events of this consumer that are due for another attempt. */
export const dueAgain = (consumer: string) =>
  tx.rows((q) =>
    q
      .selectFrom("set_aside_events as s")
      .innerJoin("outbox as o", "o.id", "s.event_id")
      .select(["o.id", "o.topic", "o.payload"])
      .where("s.consumer", "=", consumer)
      .where("s.next_attempt_at", "<=", sql<Date>`utc_timestamp(3)`)
      .orderBy("s.next_attempt_at")
      .limit(BATCH)
  )

/** Forgets events that were handled after all. */
export const takeBack = (consumer: string, eventIds: ReadonlyArray<number>) =>
  eventIds.length === 0
    ? Effect.succeed(0)
    : tx.affected((q) =>
        q.deleteFrom("set_aside_events").where("consumer", "=", consumer).where("event_id", "in", eventIds)
      )
