import { type Kysely, sql } from "kysely"

/** The row that tells every process which cached entries it may trust. */
export const cacheTrust = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await sql`CREATE TABLE IF NOT EXISTS cache_trust (
      only_row TINYINT NOT NULL DEFAULT 1 PRIMARY KEY,
      generation BIGINT NOT NULL DEFAULT 1,
      suspended_until DATETIME(6) NOT NULL DEFAULT '1970-01-02',
      CONSTRAINT cache_trust_only_row CHECK (only_row = 1)
    )`.execute(db)
    await sql`insert ignore into cache_trust (only_row) values (1)`.execute(db)
  }
}
