import type { Kysely } from "kysely"
import { addColumn } from "./changes.ts"

/** Which of the database's pasts Redis may remember, and how far this one has come; see platform/db/epochs.ts. */
export const epochs = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await addColumn(db, "installation", "epoch", "BIGINT NOT NULL DEFAULT 0")
    await addColumn(db, "installation", "beat", "BIGINT NOT NULL DEFAULT 0")
  }
}
