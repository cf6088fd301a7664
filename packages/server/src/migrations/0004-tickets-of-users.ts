import { type Kysely, sql } from "kysely"
import { addForeignKey } from "./changes.ts"

/**
 * Deletes a ticket with its user. The ticket of a deleted user could never be served and would block its queue, because
 * the coupons of a queue's head are issued together.
 */
export const ticketsOfUsers = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await sql`delete from coupon_tickets where user_id not in (select id from users)`.execute(db)
    const owner = "FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE"
    await addForeignKey(db, "coupon_tickets", "coupon_tickets_owner", owner)
  }
}
