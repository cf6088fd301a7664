import { type Kysely, sql } from "kysely"
import { addColumn, addKey } from "./changes.ts"

/** What a user has ordered and not paid, in one index. */
export const unpaidOrders = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    await addColumn(db, "orders", "units", "BIGINT NOT NULL DEFAULT 0")
    await sql`update orders set units = (select sum(quantity) from order_items where order_id = orders.id)
      where status = 'PENDING' and units = 0`.execute(db)
    await addKey(db, "orders", "orders_unpaid", "KEY orders_unpaid (user_id, status, units)")
  }
}
