import { Effect } from "effect"
import { type RawBuilder, sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { tx } from "../db/transaction.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"
import { CONSUMER_TURNS, EVENT_JOBS, eventOf } from "./positions.ts"

/** Rows that one run deletes: few enough to hold their locks briefly. */
const BATCH = 5_000

/**
 * A consumer that has finished no run for this long while the trimmer ran is out of use and holds no events back. A
 * deployment that was down as a whole has retired nobody.
 */
const RETIRED_AFTER_DAYS = 1

/**
 * Deletes events after the retention, once every consumer has handled them and none has set them aside, and stores the
 * time up to which events may be gone for the audit. The last event that was handled stays: the next one follows it.
 */
export const outboxTrimmer = {
  name: "outbox trimmer",
  intervalMs: 30_000,
  batch: BATCH,
  run: asLeader("outbox trimmer", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      const before = sql<Date>`utc_timestamp(3) - interval ${retentionMs * 1_000} microsecond`
      // Read first: a DELETE would lock what its conditions read, and keep consumers from moving on.
      const oldest = yield* tx.first(
        () => sql<{ readonly position: number | null }>`select ${oldestPosition} as position`
      )
      if (oldest?.position == null) return 0
      const aside = yield* tx.rows((q) =>
        q.selectFrom("set_aside").select("item").where("job", "like", EVENT_JOBS)
      )
      const kept = aside.map(({ item }) => eventOf(item))
      const deleted = yield* deleteEvents(before, oldest.position, kept)
      if (deleted === 0) return 0
      yield* tx.affected((q) => q.updateTable("installation").set({ outbox_trimmed_before: before }))
      return deleted
    })
  )
} satisfies Job<unknown>

/**
 * Leaves rows that others hold for a later run. The join finds each row by its key; a DELETE with a list of ids may scan
 * the table, and wait for others.
 */
const deleteEvents = (before: RawBuilder<Date>, position: number, kept: ReadonlyArray<number>) => {
  const isKept = kept.length === 0 ? sql`false` : sql`id in (${sql.join(kept)})`
  return tx.affected(
    () => sql`delete o from (
        select id from outbox where published_at < ${before} and sequence < ${position} and not ${isKept}
        order by published_at limit ${BATCH} for update skip locked
      ) old straight_join outbox o on o.id = old.id`
  )
}

/** NULL, so that nothing is deleted, as long as no consumer has begun. */
const oldestPosition = sql<number>`(
  select min(cast(coalesce(c.state, '0') as signed)) from worker_turns c
  where ${CONSUMER_TURNS} and coalesce(c.last_round_at, utc_timestamp(3)) >= coalesce(
    (select t.last_round_at - interval ${RETIRED_AFTER_DAYS} day from worker_turns t where t.worker = 'outbox trimmer'),
    '1970-01-01'))`
