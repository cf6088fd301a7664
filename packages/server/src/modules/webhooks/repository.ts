import { Effect } from "effect"
import { sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { tx } from "../../platform/db/transaction.ts"

/** A delivery to be sent now. */
export interface Delivery {
  readonly id: number
  readonly eventId: number
  readonly topic: string
  readonly body: string
  /** The header that names the span which has caused the event. */
  readonly traceparent: string | undefined
  /** This attempt included. */
  readonly attempts: number
}

export interface NewDelivery {
  readonly eventId: number
  readonly topic: string
  readonly body: string
  readonly traceparent: string | undefined
}

/** One delivery an event: a repeated event finds its row. */
export const insertDeliveries = (deliveries: ReadonlyArray<NewDelivery>) =>
  tx.affected((q) =>
    q
      .insertInto("webhook_deliveries")
      .ignore()
      .values(
        deliveries.map(({ body, eventId, topic, traceparent }) => ({
          event_id: eventId,
          topic,
          body,
          traceparent: traceparent ?? null
        }))
      )
  )

const now = sql<Date>`utc_timestamp(3)`
const inMs = (ms: number) => sql<Date>`utc_timestamp(3) + interval ${Math.round(ms) * 1_000} microsecond`

/**
 * Leases due deliveries for `leaseMs`: until then no other process sends them; after it, another process takes over from
 * one that died. Rows that another process is leasing are skipped.
 */
export const takeDue = (limit: number, leaseMs: number) =>
  Effect.gen(function* () {
    const due = yield* tx.rows((q) =>
      q
        .selectFrom("webhook_deliveries")
        .select(["id", "event_id", "topic", "body", "traceparent", "attempts"])
        .where("status", "=", "pending")
        .where("next_attempt_at", "<=", now)
        .orderBy("next_attempt_at")
        .limit(limit)
        .forUpdate()
        .skipLocked()
    )
    if (due.length > 0) {
      const ids = due.map(({ id }) => id)
      yield* tx.affected((q) =>
        q
          .updateTable("webhook_deliveries")
          .set({
            attempts: sql<number>`attempts + 1`,
            last_attempt_at: now,
            next_attempt_at: inMs(leaseMs),
            last_error: "no answer was recorded"
          })
          .where("id", "in", ids)
      )
    }
    return due.map(({ attempts, body, event_id, id, topic, traceparent }): Delivery => ({
      id,
      eventId: event_id,
      topic,
      body,
      traceparent: traceparent ?? undefined,
      attempts: attempts + 1
    }))
  })

export const markDelivered = (id: number) =>
  db.rows((q) =>
    q.updateTable("webhook_deliveries").set({ status: "delivered", last_error: null }).where("id", "=", id)
  )

/** Records a failed attempt: retried later, or given up. A delivery that another process delivered meanwhile stays so. */
export const markFailed = (id: number, error: string, retryAfterMs: number | undefined) =>
  db.rows((q) =>
    q
      .updateTable("webhook_deliveries")
      .set({
        status: retryAfterMs === undefined ? "dead" : "pending",
        last_error: error.slice(0, 200),
        ...(retryAfterMs === undefined ? {} : { next_attempt_at: inMs(retryAfterMs) })
      })
      .where("id", "=", id)
      .where("status", "=", "pending")
  )

export const listDead = (before: number | undefined, limit: number) =>
  db.rows((q) =>
    q
      .selectFrom("webhook_deliveries")
      .select(["id", "event_id", "topic", "body", "attempts", "last_error", "last_attempt_at"])
      .where("status", "=", "dead")
      .$if(before !== undefined, (query) => query.where("id", "<", before as number))
      .orderBy("id", "desc")
      .limit(limit)
  )

/** Locks those of these deliveries that were given up. */
export const lockDead = (ids: ReadonlyArray<number>) =>
  tx
    .rows((q) =>
      q
        .selectFrom("webhook_deliveries")
        .select("id")
        .where("id", "in", ids)
        .where("status", "=", "dead")
        .orderBy("id")
        .forUpdate()
    )
    .pipe(Effect.map((rows) => rows.map(({ id }) => id)))

/** Makes dead letters due again, with a full set of attempts. */
export const revive = (ids: ReadonlyArray<number>) =>
  tx.affected((q) =>
    q
      .updateTable("webhook_deliveries")
      .set({ status: "pending", attempts: 0, next_attempt_at: now })
      .where("id", "in", ids)
      .where("status", "=", "dead")
  )

/**
 * Deletes old deliveries whose event is gone: while the event is there, its delivery says that it was sent. They are
 * chosen by a plain SELECT, because a DELETE would lock the events that it looks at. Rows that others hold are left for a
 * later run.
 */
export const deleteDelivered = Effect.fnUntraced(function* (olderThanMs: number, limit: number) {
  const old = yield* tx.rows((q) =>
    q
      .selectFrom("webhook_deliveries")
      .select("id")
      .where("status", "=", "delivered")
      .where(
        "next_attempt_at",
        "<",
        sql<Date>`utc_timestamp(3) - interval ${olderThanMs * 1_000} microsecond`
      )
      .where((of) =>
        of.not(of.exists(of.selectFrom("outbox").select("outbox.id").whereRef("outbox.id", "=", "event_id")))
      )
      .orderBy("next_attempt_at")
      .limit(limit)
  )
  const ids = old.map(({ id }) => id)
  if (ids.length === 0) return 0
  // The join finds each row by its key; a DELETE with a list of ids may scan the table, and wait for others.
  return yield* tx.affected(
    () => sql`delete d from (
        select id from webhook_deliveries where id in (${sql.join(ids)}) order by id for update skip locked
      ) free straight_join webhook_deliveries d on d.id = free.id`
  )
})

/** How many deliveries there are of each status but `delivered`. */
export const countDeliveries = db.rows((q) =>
  q
    .selectFrom("webhook_deliveries")
    .select((of) => ["status", of.fn.countAll<number>().as("n")])
    .where("status", "in", ["pending", "dead"])
    .groupBy("status")
)
