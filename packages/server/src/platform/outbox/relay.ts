import { Effect } from "effect"
import { type Kysely, sql } from "kysely"
import { db } from "../db/database.ts"
import type { DB } from "../db/tables.ts"
import { Epochs } from "../db/epochs.ts"
import { tx } from "../db/transaction.ts"
import { failpoint } from "../failpoints.ts"
import { asLeader } from "../jobs/leader.ts"
import { JobNotices } from "../jobs/notices.ts"
import type { Job } from "../jobs/runner.ts"
import { PUBLISHED, UNPUBLISHED } from "./outbox.ts"
import { announce } from "./announcements.ts"
import { CONSUMER_TURNS, HAS_POSITION } from "./positions.ts"

/** Events that one run publishes at most. */
const BATCH = 500

/**
 * Publishes committed outbox events: gives each its place in the order in which consumers handle them, the order of
 * their ids. One process leads, so the places have no gaps and become visible in their order, and events inserted under
 * the same row lock keep theirs. Redis then announces the numbers. An announcement that is lost costs time only.
 */
export const outboxRelay = {
  name: "outbox relay",
  intervalMs: 200,
  notice: { topic: UNPUBLISHED, idleMs: 800 },
  batch: BATCH,
  run: Effect.gen(function* () {
    // Without a transaction: most runs of an idle shop find nothing.
    if ((yield* db.first((q) => unpublishedOf(q, 1))) === undefined) return 0
    const { give } = yield* JobNotices
    const { isBehind, look } = yield* Epochs
    let numbers: ReadonlyArray<number> = []
    let isRestored = false
    const publishNext = Effect.gen(function* () {
      isRestored = yield* isBehind
      // An id may be that of an event of the lost past, until a new epoch begins.
      if (isRestored) return 0
      numbers = (yield* unpublished).map(({ id }) => id)
      if (numbers.length > 0) yield* publish(numbers)
      return numbers.length
    })
    return yield* asLeader("outbox relay", 0, () => publishNext).pipe(
      Effect.tap((count) => {
        if (isRestored) return look
        if (count === 0) return Effect.void
        return failpoint("relay: events published").pipe(
          Effect.andThen(announce(numbers)),
          Effect.catchTag("RedisUnavailable", ({ message }) =>
            Effect.logDebug("published events were not announced", { count, message })
          ),
          Effect.andThen(Effect.sync(() => give(PUBLISHED)))
        )
      })
    )
  })
} satisfies Job<unknown>

const unpublishedOf = (q: Kysely<DB>, limit: number) =>
  q.selectFrom("outbox").select("id").where("published_at", "is", null).orderBy("id").limit(limit)

const unpublished = tx.rows((q) => unpublishedOf(q, BATCH))

const publish = Effect.fnUntraced(function* (ids: ReadonlyArray<number>) {
  const last = yield* lastSequence
  yield* tx.affected((q) =>
    q
      .updateTable("outbox")
      .set({
        published_at: sql<Date>`utc_timestamp(3)`,
        sequence: sql<number>`${last} + field(id, ${sql.join(ids)})`
      })
      .where("id", "in", ids)
  )
})

/** No consumer is ahead of the next event, not even if rows of the outbox were deleted by hand. */
const lastSequence = tx
  .first(
    () => sql<{ last: number }>`
      select greatest(coalesce((select max(sequence) from outbox), 0),
        coalesce((select max(cast(state as signed)) from worker_turns where ${CONSUMER_TURNS} and ${HAS_POSITION}), 0)) as last`
  )
  .pipe(Effect.map((row) => row?.last ?? 0))
