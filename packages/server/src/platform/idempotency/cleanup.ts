import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { tx } from "../db/transaction.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"

/** Rows that one run deletes: few enough to hold their locks briefly. */
const BATCH = 20_000

/** Deletes the answers of old idempotency keys: a request is repeated within days. */
export const idempotencyKeyCleaner = {
  name: "idempotency key cleaner",
  intervalMs: 30_000,
  run: asLeader("idempotency key cleaner", 30_000, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      yield* tx.affected((q) =>
        q
          .deleteFrom("idempotency_keys")
          .where("created_at", "<", sql<Date>`utc_timestamp(3) - interval ${retentionMs * 1_000} microsecond`)
          .orderBy("created_at")
          .limit(BATCH)
      )
      return 0
    })
  )
} satisfies Job<unknown>
