import { type Kysely, sql } from "kysely"
import { hasTable } from "./changes.ts"

/** Events are set aside where the items of all other jobs are. */
export const oneAside = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    if (!(await hasTable(db, "set_aside_events"))) return
    // A start after a crash finds rows that were moved already.
    await sql`insert ignore into set_aside (job, item, reason, failures, first_failed_at, next_attempt_at)
      select concat('events for ', consumer), cast(event_id as binary), reason, attempts, created_at, next_attempt_at
      from set_aside_events`.execute(db)
    await sql`drop table set_aside_events`.execute(db)
  }
}
