import type { Kysely } from "kysely"
import { addColumn } from "./changes.ts"

/** The transaction that inserted an event, by which the process that committed it knows it again. */
export const eventOrigins = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: (db: Kysely<any>): Promise<void> => addColumn(db, "outbox", "origin", "BINARY(16) NULL")
}
