import { type Kysely, sql } from "kysely"
import { addColumn } from "./changes.ts"

/** The logins of the users, and who may not log in. */
export const sessions = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await addColumn(db, "users", "blocked_at", "DATETIME(3) NULL")
    await sql`CREATE TABLE IF NOT EXISTS user_sessions (
      id BINARY(16) NOT NULL PRIMARY KEY,
      user_id BINARY(16) NOT NULL,
      generation INT NOT NULL DEFAULT 1,
      created_at DATETIME(3) NOT NULL,
      last_used_at DATETIME(3) NOT NULL,
      expires_at DATETIME(3) NOT NULL,
      ended_at DATETIME(3) NULL,
      address VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
      user_agent VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
      KEY user_sessions_user (user_id, id),
      KEY user_sessions_expiry (expires_at),
      KEY user_sessions_end (ended_at),
      CONSTRAINT user_sessions_owner FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
      CONSTRAINT user_sessions_generation CHECK (generation > 0)
    )`.execute(db)
  }
}
