import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("payments", () => {
  let shop: Shop
  useShop({ servers: 2 }, async (opened) => {
    shop = opened
    await shop.newProduct("tea", 10_000, 100)
  })

  const order = async (token: string, quantity = 1) =>
    (await shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity }] }, { token })).id

  // Guarantees: an order is charged once, and everybody who pays it gets that one payment.
  test("20 payments of one order at once: one charge, 20 identical answers", async () => {
    const user = await shop.newUser(1_000)
    const orderId = await order(user.token, 3)
    const result = await race(20, () => shop.ok(contract.payments.process, { orderId }, user))
    expectExactly(result, 20)
    expect(new Set(result.fulfilled.map(({ value }) => JSON.stringify(value))).size).toBe(1)
    expect(await shop.ok(contract.points.balance, {}, user)).toEqual({ balance: 700 })
    expect((await shop.ok(contract.orders.get, { orderId }, user)).status).toBe("PAID")
  })

  // Guarantees: a balance is never spent twice, and what it can pay is paid.
  test("a balance for 3 of 10 orders paid at once: 3 paid, 7 InsufficientPoints, nothing left over", async () => {
    const user = await shop.newUser(350)
    const orders = await Promise.all(Array.from({ length: 10 }, () => order(user.token)))
    const result = await race(10, (caller) =>
      shop.ok(contract.payments.process, { orderId: orders[caller]! }, user)
    )
    expectExactly(result, 3)
    expectExactly(result, 7, "InsufficientPoints")
    expect(await shop.ok(contract.points.balance, {}, user)).toEqual({ balance: 50 })
  })

  // Known from comparable systems: a refused payment gives stock back that it never took.
  test("a refused payment gives no stock back: the order keeps it, and can be paid later", async () => {
    const user = await shop.newUser()
    const orderId = await order(user.token)
    const stock = await shop.stockOf("tea")
    expect(await shop.call(contract.payments.process, { orderId }, user)).toMatchObject({
      status: 409,
      tag: "InsufficientPoints",
      error: { required: 100, available: 0 }
    })
    expect(await shop.stockOf("tea")).toBe(stock)
    await shop.ok(contract.admin.grantPoints, { userId: user.id, amount: 100, reason: "a gift" }, shop.admin)
    expect(await shop.ok(contract.payments.process, { orderId }, user)).toMatchObject({
      orderId,
      amountMinor: 100
    })
  })

  // Known from comparable systems: a retry on a paid order adds stock.
  test("paying a paid order again answers with its payment and adds no stock", async () => {
    const user = await shop.newUser(500)
    const orderId = await order(user.token)
    const first = await shop.ok(contract.payments.process, { orderId }, user)
    const stock = await shop.stockOf("tea")
    expect(await shop.ok(contract.payments.process, { orderId }, user)).toEqual(first)
    expect(await shop.stockOf("tea")).toBe(stock)
  })

  test("an expired order cannot be paid, and the answer says when it expired", async () => {
    const user = await shop.newUser(500)
    const orderId = await order(user.token)
    await shop.sql.query("UPDATE orders SET expires_at = '2020-01-01' WHERE id = UNHEX(?)", [
      orderId.replaceAll("-", "")
    ])
    expect(await shop.call(contract.payments.process, { orderId }, user)).toMatchObject({
      status: 412,
      tag: "OrderExpired",
      error: { orderId, expiredAt: "2020-01-01T00:00:00.000Z" }
    })
    await shop.sql.query("UPDATE orders SET expires_at = NOW() + INTERVAL 1 DAY WHERE id = UNHEX(?)", [
      orderId.replaceAll("-", "")
    ])
  })

  test.each(["", "x", "01900000-0000-4000-8000-000000000000", "01900000-0000-7000-8000-00000000000G"])(
    "the order id %j is refused by name",
    async (orderId) => {
      const user = await shop.newUser()
      expect(await shop.call(contract.payments.process, { orderId }, user)).toMatchObject({
        tag: "InvalidInput",
        error: { issues: [{ path: "orderId" }] }
      })
    }
  )
})
