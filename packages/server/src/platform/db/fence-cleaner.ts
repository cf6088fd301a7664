import { pruneFences } from "@holdfast/locks"
import { Effect } from "effect"
import { CompiledQuery } from "kysely"
import { PlatformConfig } from "../config.ts"
import { asLeader } from "../jobs/leader.ts"
import type { Job } from "../jobs/runner.ts"
import { tx } from "./transaction.ts"

/** Far longer than a lease, a request and the difference between the clocks of Redis and the database can last. */
const LEAST_RETENTION_MS = 86_400_000

/** Rows that one run deletes: few enough to hold their locks only briefly. */
const BATCH = 20_000

/**
 * Deletes the fences that no lock holder has passed for a long time. A later holder starts the fence anew with its
 * token, which is above all earlier ones because tokens follow the time.
 */
export const fenceCleaner = {
  name: "fence cleaner",
  intervalMs: 600_000,
  run: asLeader("fence cleaner", 0, () =>
    Effect.gen(function* () {
      const { retentionMs } = yield* PlatformConfig
      const deleted = yield* pruneFences(
        (text, parameters) =>
          tx.affected(() => ({ compile: () => CompiledQuery.raw(text, [...parameters]) })),
        Math.max(retentionMs, LEAST_RETENTION_MS),
        BATCH
      )
      return deleted === BATCH ? BATCH : 0
    })
  )
} satisfies Job<unknown>
