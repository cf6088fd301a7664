import { Effect } from "effect"
import { sql } from "kysely"
import { db } from "../db/database.ts"
import { EVENT_JOBS } from "../outbox/positions.ts"
import type { Job } from "./runner.ts"
import { aside } from "./set-aside.ts"

/** Far longer than any job takes to come back to an item after its pause. */
const FORGOTTEN_AFTER_S = 3_600

/** Rows that one run deletes. */
const BATCH = 1_000

/**
 * Deletes the rows of items that no job has come back to, because they are gone: a deleted order, a campaign that has
 * ended. A row of an item that is still there may go, too: to its job the item is new. Events are not, so their
 * consumers delete those rows themselves.
 */
export const setAsideCleaner = {
  name: "set-aside cleaner",
  intervalMs: 600_000,
  batch: BATCH,
  run: Effect.gen(function* () {
    // Found by a plain SELECT: a DELETE would wait for rows that consumers hold.
    const rows = yield* db.rows((q) =>
      q
        .selectFrom("set_aside")
        .select(["job", "item"])
        .where("next_attempt_at", "<", sql<Date>`utc_timestamp(3) - interval ${FORGOTTEN_AFTER_S} second`)
        .where("job", "not like", EVENT_JOBS)
        .limit(BATCH)
    )
    for (const [job, ofJob] of Map.groupBy(rows, (row) => row.job))
      yield* aside.forget(
        job,
        ofJob.map(({ item }) => item)
      )
    return rows.length
  })
} satisfies Job<unknown>
