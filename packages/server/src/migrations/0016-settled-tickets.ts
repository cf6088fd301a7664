import type { Kysely } from "kysely"
import { addKey } from "./changes.ts"

/** Finds the tickets that were settled long ago. */
export const settledTickets = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: (db: Kysely<any>): Promise<void> =>
    addKey(db, "coupon_tickets", "coupon_tickets_settled_at", "KEY coupon_tickets_settled_at (settled_at)")
}
