import { contract } from "@holdfast/domain"
import { expect, describe, test } from "vitest"
import { bytesOf } from "./platform/db/ids.ts"
import type { Shop, TestUser } from "../test/shop.ts"
import { useShop } from "../test/use-shop.ts"

const MAXIMUM = Number.MAX_SAFE_INTEGER
const MAXIMUM_STOCK = 1_000_000_000

describe("numbers at their limits", () => {
  let shop: Shop
  useShop({}, (opened) => {
    shop = opened
  })

  const order = (sku: string, quantity: number, user: TestUser) =>
    shop.call(contract.orders.create, { lines: [{ sku, quantity }] }, user)
  const cancel = (orderId: string, user: TestUser) => shop.call(contract.orders.cancel, { orderId }, user)
  const adjust = (sku: string, delta: number) =>
    shop.call(contract.admin.adjustStock, { sku, delta, reason: "count" }, shop.admin)

  test("units come back to a stock that was filled up meanwhile; it can only be lowered then", async () => {
    const user = await shop.newUser()
    const sku = await shop.newProduct("full", MAXIMUM_STOCK)
    const { value } = (await order(sku, 5, user)) as { value: { id: string } }
    expect(await adjust(sku, 5)).toMatchObject({ ok: true })
    expect(await cancel(value.id, user)).toMatchObject({ ok: true })
    expect(await shop.stockOf(sku)).toBe(MAXIMUM_STOCK + 5)
    expect(await adjust(sku, 1)).toMatchObject({ status: 422, tag: "StockLimitExceeded" })
    expect(await adjust(sku, -3)).toMatchObject({ ok: true, value: { stock: MAXIMUM_STOCK + 2 } })
  })

  test("an order whose price is beyond the exact numbers is refused, by one line or by their sum", async () => {
    const user = await shop.newUser()
    const dear = await shop.newProduct("dear", 10, MAXIMUM)
    const cheap = await shop.newProduct("cheap", 10, 1)
    expect(await order(dear, 2, user)).toMatchObject({
      status: 422,
      tag: "OrderTotalTooLarge",
      error: { sku: dear, maximumMinor: MAXIMUM }
    })
    const lines = [dear, cheap].map((sku) => ({ sku, quantity: 1 }))
    expect(await shop.call(contract.orders.create, { lines }, user)).toMatchObject({
      tag: "OrderTotalTooLarge",
      error: { sku: dear }
    })
    expect(await order(dear, 1, user)).toMatchObject({ ok: true, value: { totalMinor: MAXIMUM } })
  })

  test("a refund always fits: a grant and a top-up leave room for what was spent", async () => {
    const user = await shop.newUser()
    const reserve = MAXIMUM - 1_500
    await shop.sql.query(
      "INSERT INTO point_ledger (user_id, delta, balance_after, kind, reason) VALUES (?, ?, ?, 'grant', 'test')",
      [bytesOf(user.id), reserve, reserve]
    )
    await shop.sql.query("UPDATE point_accounts SET balance = ? WHERE user_id = ?", [
      reserve,
      bytesOf(user.id)
    ])
    const sku = await shop.newProduct("refundable", 10, 10_000)
    const { value } = (await order(sku, 1, user)) as { value: { id: string } }
    await shop.ok(contract.payments.process, { orderId: value.id }, user)
    const grant = (amount: number) =>
      shop.call(contract.admin.grantPoints, { userId: user.id, amount, reason: "test" }, shop.admin)
    const topUp = () => shop.call(contract.points.charge, { amount: 1_000 }, user)
    expect(await grant(1_501)).toMatchObject({ status: 422, tag: "BalanceLimitExceeded" })
    expect(await topUp()).toMatchObject({ ok: true })
    expect(await topUp()).toMatchObject({ status: 422, tag: "BalanceLimitExceeded" })
    expect(await grant(500)).toMatchObject({ ok: true })
    expect(await cancel(value.id, user)).toMatchObject({ ok: true })
    expect(await shop.ok(contract.points.balance, {}, user)).toEqual({ balance: MAXIMUM })
  })
})
