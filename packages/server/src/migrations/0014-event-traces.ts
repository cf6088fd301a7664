import type { Kysely } from "kysely"
import { addColumn } from "./changes.ts"

/** The span that has caused an event, as the header `traceparent`, from the outbox to the webhook. */
export const eventTraces = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    for (const table of ["outbox", "webhook_deliveries"])
      await addColumn(db, table, "traceparent", "CHAR(55) CHARACTER SET ascii COLLATE ascii_bin NULL")
  }
}
