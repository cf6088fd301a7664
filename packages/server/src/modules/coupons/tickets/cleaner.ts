import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../../../platform/config.ts"
import { tx } from "../../../platform/db/transaction.ts"
import { asLeader } from "../../../platform/jobs/leader.ts"
import type { Job } from "../../../platform/jobs/runner.ts"

/** Rows that one run deletes: few enough to hold their locks briefly. */
const BATCH = 5_000

/**
 * Deletes tickets that were settled before the retention: their users have read what became of them, and the coupons
 * that were issued stay. Rows that others hold are left for a later run.
 */
export const ticketCleaner = {
  name: "ticket cleaner",
  intervalMs: 60_000,
  batch: BATCH,
  run: asLeader("ticket cleaner", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      return yield* tx.affected(
        () => sql`delete t from (
            select place from coupon_tickets
            where settled_at < utc_timestamp(3) - interval ${retentionMs * 1_000} microsecond
            order by settled_at limit ${BATCH} for update skip locked
          ) old straight_join coupon_tickets t on t.place = old.place`
      )
    })
  )
} satisfies Job<unknown>
