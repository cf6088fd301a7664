import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"
import { tx } from "./transaction.ts"

/** Far longer than a lease, a request and the difference between the clocks of Redis and the database can last. */
const LEAST_RETENTION_MS = 86_400_000

/** Rows that one run deletes: few enough to hold their locks only briefly. */
const BATCH = 5_000

/**
 * Deletes the fences that no lock holder has passed for a long time. A later holder starts the fence anew with its
 * token, which is above all earlier ones because tokens follow the time. Fences that a transaction holds are skipped:
 * no index leads to the old ones, so the search passes those in use.
 */
export const fenceCleaner = {
  name: "fence cleaner",
  intervalMs: 600_000,
  batch: BATCH,
  run: asLeader("fence cleaner", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      const olderThanMs = Math.max(retentionMs, LEAST_RETENTION_MS)
      // A DELETE with a list of keys may scan the table, and wait for the rows that it passes.
      return yield* tx.affected(
        () => sql`delete f from (
            select lock_key from lock_fences
            where token < cast(unix_timestamp(now(6)) * 1000000 as signed) - ${olderThanMs * 1_000}
            limit ${BATCH} for update skip locked
          ) old straight_join lock_fences f on f.lock_key = old.lock_key`
      )
    })
  )
} satisfies Job<unknown>
