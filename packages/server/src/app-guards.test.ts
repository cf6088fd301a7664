import { contract, OrderId, Sku, UserId } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2/promise"
import { describe, expect, test } from "vitest"
import { bytesOf } from "./platform/db/ids.ts"
import { inTransaction } from "./platform/db/transaction.ts"
import { daylight } from "../test/calendar.ts"
import type { Shop, TestUser } from "../test/shop.ts"
import { useShop } from "../test/use-shop.ts"
import { moveStocks } from "./modules/catalog/repository.ts"
import { updateCancelled, updateStatus } from "./modules/orders/repository.ts"
import { moveBalances } from "./modules/points/repository.ts"

// Use cases never reach these guards; they hold if a lock or a check is ever missing.
describe("the database's guards of orders, payments and points", () => {
  let shop: Shop
  let ann: TestUser
  let orderId: string
  const sku = Sku.make("book")
  useShop({}, async (opened) => {
    shop = opened
    ann = await shop.newUser(10_000)
    await shop.newProduct(sku, 6, 1_000)
    orderId = (await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, ann)).id
    await shop.ok(contract.payments.process, { orderId }, ann)
    await shop.ok(contract.orders.cancel, { orderId }, ann)
  })

  test.each([
    ["stock below 0", "UPDATE products SET stock = -1", /products_stock/],
    ["a balance below 0", "UPDATE point_accounts SET balance = -1", /point_accounts_balance/],
    ["a total below 0", "UPDATE orders SET total_minor = -1", /orders_(total|discount)/],
    ["an order of no units", "UPDATE order_items SET quantity = 0", /order_items_quantity/],
    [
      "a second payment of an order",
      "INSERT INTO payments (id, order_id, user_id, amount_minor) SELECT REPEAT('x', 16), order_id, user_id, amount_minor FROM payments",
      /payments_order/
    ],
    ["a second refund of an order", "INSERT INTO refunds SELECT * FROM refunds", /PRIMARY/],
    [
      "points taken or given back twice for an order",
      "INSERT INTO point_ledger (user_id, delta, balance_after, kind, order_id) SELECT user_id, delta, balance_after, kind, order_id FROM point_ledger WHERE order_id IS NOT NULL",
      /point_ledger_once/
    ],
    [
      "stock taken or given back twice for an order",
      "INSERT INTO stock_ledger (sku, delta, kind, order_id) SELECT sku, delta, kind, order_id FROM stock_ledger WHERE order_id IS NOT NULL",
      /stock_ledger_once/
    ],
    [
      "a second entry at a place of the audit trail",
      "INSERT INTO audit_trail SELECT * FROM audit_trail LIMIT 1",
      /PRIMARY/
    ],
    [
      "a second user of an e-mail",
      "INSERT INTO users (id, email, password_hash, role) SELECT REPEAT('x', 16), email, password_hash, role FROM users LIMIT 1",
      /users_email/
    ]
  ])("the database refuses %s", async (_case, statement, constraint) => {
    await expect(shop.sql.query(statement)).rejects.toThrow(constraint)
  })

  test("guarded UPDATEs change no row that lacks the amount or has left the expected state", async () => {
    const { runPromise } = shop.servers[0].runtime
    const order = OrderId.make(orderId)
    const user = UserId.make(ann.id)
    expect(await runPromise(inTransaction(moveStocks(new Map([[sku, -7]]), 1_000)))).toBe(0)
    expect(await runPromise(inTransaction(moveStocks(new Map([[sku, 1]]), 6)))).toBe(0)
    expect(await runPromise(inTransaction(moveBalances(new Map([[user, -10_001]]), 1_000_000)))).toBe(0)
    expect(await runPromise(inTransaction(moveBalances(new Map([[user, 1]]), 10_000)))).toBe(0)
    expect(await runPromise(inTransaction(updateStatus([order], "PENDING", "PAID")))).toBe(0)
    const pending = [{ id: order, status: "PENDING" }] as const
    expect(await runPromise(inTransaction(updateCancelled(pending, "expired", new Date())))).toBe(0)
    expect(await shop.stockOf(sku)).toBe(6)
  })

  // The account's row lock guarantees this without the lock in Redis.
  test("a top-up counts the top-ups that commit while it waits for the account", async () => {
    await daylight(60_000)
    const user = await shop.newUser()
    for (let n = 0; n < 2; n++) await shop.ok(contract.points.charge, { amount: 1_000 }, user)
    const connection = await shop.sql.getConnection()
    try {
      await connection.beginTransaction()
      await connection.query("UPDATE point_accounts SET balance = 3000 WHERE user_id = ?", [bytesOf(user.id)])
      await connection.query(
        "INSERT INTO point_ledger (user_id, delta, balance_after, kind) VALUES (?, 1000, 3000, 'charge')",
        [bytesOf(user.id)]
      )
      const late = shop.call(contract.points.charge, { amount: 1_000 }, user)
      await eventually(async () => expect(await countWaiting()).toBe(1))
      await connection.commit()
      expect(await late).toMatchObject({ tag: "ChargeLimitExceeded", error: { limit: "day" } })
    } finally {
      await connection.rollback()
      connection.release()
    }
    expect(await shop.ok(contract.points.balance, {}, user)).toEqual({ balance: 3_000 })
  })

  /** Running statements on the accounts. */
  const countWaiting = async (): Promise<number> => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = ? AND id <> CONNECTION_ID() AND info LIKE '%point_accounts%'",
      [shop.database]
    )
    return Number(rows[0]!["n"])
  }
})
