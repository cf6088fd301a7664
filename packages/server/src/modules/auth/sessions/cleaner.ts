import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../../../platform/config.ts"
import { tx } from "../../../platform/db/transaction.ts"
import { asLeader } from "../../../platform/jobs/leader.ts"
import type { Job } from "../../../platform/jobs/runner.ts"

/** Rows that one statement deletes: few enough to hold their locks briefly. */
const BATCH = 5_000

/**
 * Deletes sessions that expired, and those that ended before the retention period. Rows that others hold are left for a
 * later run. A token of a session that is gone is refused like one of a session that has ended.
 */
export const sessionCleaner = {
  name: "session cleaner",
  intervalMs: 60_000,
  batch: BATCH,
  run: asLeader("session cleaner", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      const expired = yield* deleteBefore("expires_at", 0)
      const ended = yield* deleteBefore("ended_at", retentionMs)
      return Math.max(expired, ended)
    })
  )
} satisfies Job<unknown>

const deleteBefore = (column: "expires_at" | "ended_at", agoMs: number) =>
  tx.affected(
    () => sql`delete s from (
        select id from user_sessions where ${sql.ref(column)} < utc_timestamp(3) - interval ${agoMs * 1_000} microsecond
        order by ${sql.ref(column)} limit ${BATCH} for update skip locked
      ) old straight_join user_sessions s on s.id = old.id`
  )
