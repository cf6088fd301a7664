import { type Kysely, sql } from "kysely"
import { addColumn, addKey, dropColumn } from "./changes.ts"

/**
 * The order of the events moves from Redis into the database, and with it what each consumer has handled. Events that
 * were published before are handled once more, which changes nothing.
 */
const setAside = `CREATE TABLE IF NOT EXISTS set_aside_events (
    consumer VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_id BIGINT NOT NULL,
    reason VARCHAR(200) NOT NULL,
    attempts INT NOT NULL DEFAULT 1,
    next_attempt_at DATETIME(3) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (consumer, event_id),
    KEY set_aside_events_due (consumer, next_attempt_at)
  ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`

export const eventOrder = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await sql.raw(setAside).execute(db)
    await addColumn(db, "outbox", "sequence", "BIGINT NULL")
    await sql`update outbox set sequence = id where published_at is not null and sequence is null`.execute(db)
    await addKey(db, "outbox", "outbox_sequence", "UNIQUE KEY outbox_sequence (sequence)")
    await dropColumn(db, "outbox", "stream_id")
    await sql`update worker_turns set state = null where worker = 'outbox relay'`.execute(db)
  }
}
