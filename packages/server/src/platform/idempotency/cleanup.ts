import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { tx } from "../db/transaction.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"

/** Rows that one round deletes: few enough to hold no lock for long. */
const BATCH = 20_000

/** Forgets the answers of old idempotency keys: whoever repeats a request does so within days. */
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
