import { type Kysely, sql } from "kysely"
import { addColumn } from "./changes.ts"

/** Items that jobs set aside, and room for what orders give back. */
export const setAside = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await sql
      .raw(`CREATE TABLE IF NOT EXISTS set_aside (
        job VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        item VARBINARY(64) NOT NULL,
        reason VARCHAR(500) NOT NULL,
        failures INT NOT NULL DEFAULT 1,
        first_failed_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        next_attempt_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        PRIMARY KEY (job, item),
        KEY set_aside_due (job, next_attempt_at)
      ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`)
      .execute(db)
    // Units that come back may lie above what an administrator may add; one statement makes it repeatable.
    await sql
      .raw(`ALTER TABLE products DROP CONSTRAINT products_stock,
        ADD CONSTRAINT products_stock CHECK (stock BETWEEN 0 AND 9007199254740991)`)
      .execute(db)
    // Invisible: a statement that names no columns, as a running server of the version before may, still fits.
    await addColumn(db, "point_accounts", "spent", "BIGINT NOT NULL DEFAULT 0 INVISIBLE")
    await sql`update point_accounts a set spent = -coalesce((select sum(l.delta) from point_ledger l
      where l.user_id = a.user_id and l.kind in ('payment', 'refund')), 0)`.execute(db)
  }
}
