import { Effect } from "effect"
import { sql } from "kysely"
import { PlatformConfig } from "../config.ts"
import { tx } from "../db/transaction.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"

/** Rows that one run deletes: few enough to hold their locks briefly. */
const BATCH = 5_000

/**
 * Deletes the answers of old idempotency keys: a request is repeated within days. Rows that others hold are left for a
 * later run. The join finds each row by its key; a DELETE with a list of keys may scan the table, and wait for others.
 */
export const idempotencyKeyCleaner = {
  name: "idempotency key cleaner",
  intervalMs: 30_000,
  batch: BATCH,
  run: asLeader("idempotency key cleaner", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      return yield* tx.affected(
        () => sql`delete k from (
            select user_id, procedure_path, idempotency_key from idempotency_keys
            where created_at < utc_timestamp(3) - interval ${retentionMs * 1_000} microsecond
            order by created_at limit ${BATCH} for update skip locked
          ) old straight_join idempotency_keys k on k.user_id = old.user_id
            and k.procedure_path = old.procedure_path and k.idempotency_key = old.idempotency_key`
      )
    })
  )
} satisfies Job<unknown>
