import { type Kysely, sql } from "kysely"
import { addColumn } from "./changes.ts"

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin"

/** The audit trail: entries that are only ever added, and the end of each of their chains. */
const tables = [
  `CREATE TABLE IF NOT EXISTS audit_trail (
    chain SMALLINT NOT NULL,
    position BIGINT NOT NULL,
    at DATETIME(3) NOT NULL,
    actor_id BINARY(16) NULL,
    session_id VARCHAR(64) ${ASCII} NULL,
    address VARCHAR(64) ${ASCII} NULL,
    request_id VARCHAR(64) ${ASCII} NULL,
    procedure_path VARCHAR(64) ${ASCII} NOT NULL,
    subject VARCHAR(128) NOT NULL,
    state_before TEXT NULL,
    state_after TEXT NULL,
    hash BINARY(32) NOT NULL,
    PRIMARY KEY (chain, position),
    KEY audit_trail_time (at),
    KEY audit_trail_actor (actor_id, at),
    KEY audit_trail_procedure (procedure_path, at),
    KEY audit_trail_subject (subject, at),
    CONSTRAINT audit_trail_position CHECK (position > 0)
  )`,
  `CREATE TABLE IF NOT EXISTS audit_heads (
    chain SMALLINT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    hash BINARY(32) NOT NULL
  )`
]

const CHAINS = 17

export const auditTrail = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    for (const table of tables) {
      await sql.raw(`${table} ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`).execute(db)
    }
    const heads = Array.from({ length: CHAINS }, (_, chain) => sql`(${chain}, 0, ${Buffer.alloc(32)})`)
    await sql`insert ignore into audit_heads (chain, position, hash) values ${sql.join(heads)}`.execute(db)
    // Who moved points or units; NULL for the shop's own jobs, and for movements before this migration.
    await addColumn(db, "point_ledger", "actor_id", "BINARY(16) NULL")
    await addColumn(db, "stock_ledger", "actor_id", "BINARY(16) NULL")
  }
}
