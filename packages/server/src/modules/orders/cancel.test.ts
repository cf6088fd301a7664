import { contract, OrderId, UserId } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { Effect } from "effect"
import type { RowDataPacket } from "mysql2"
import { setTimeout } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { inTransaction } from "../../platform/db/transaction.ts"
import { runJob } from "../../../test/jobs.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { lockWhatOrdersHold, makeUndo, undoOrders } from "./cancel-order.ts"
import { orderExpiry } from "./expiry-job.ts"
import { lockExpiredOrder, lockOrdersWithItems } from "./repository.ts"
import { makeHandicap } from "../../../test/handicap.ts"

const binary = (id: string) => id.replaceAll("-", "")

describe("cancelling orders", () => {
  let shop: Shop
  useShop({ servers: 2 }, async (opened) => {
    shop = opened
    await shop.newProduct("tea", 100_000, 250)
    await shop.newProduct("cup", 100_000, 1_000)
  })

  const place = async (user: TestUser, quantity = 2) =>
    (
      await shop.ok(
        contract.orders.create,
        {
          lines: [
            { sku: "tea", quantity },
            { sku: "cup", quantity: 1 }
          ]
        },
        user
      )
    ).id
  const pay = (orderId: string, user: TestUser) => shop.call(contract.payments.process, { orderId }, user)
  const cancel = (orderId: string, user: TestUser, idempotencyKey?: string) =>
    shop.call(
      contract.orders.cancel,
      { orderId },
      { token: user.token, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
    )
  const balanceOf = async (user: TestUser) => (await shop.ok(contract.points.balance, {}, user)).balance
  const expireNow = (orderId: string) =>
    shop.sql.query(
      "UPDATE orders SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = UNHEX(?)",
      [binary(orderId)]
    )
  /** One round of the expiry worker, on the nth server. */
  const expire = (server = 0) => runJob(shop.servers[server]!, orderExpiry)
  /** Rounds until no order is overdue. One that a busy machine keeps for a second is set aside; nobody waits for its pause. */
  const expireAll = async () => {
    for (let expired = 0; ; expired += await expire()) {
      const [overdue] = await shop.sql.query<Array<RowDataPacket>>(
        "SELECT 1 FROM orders WHERE status = 'PENDING' AND expires_at <= UTC_TIMESTAMP(3)"
      )
      if (overdue.length === 0) return expired
      await shop.sql.query("UPDATE set_aside SET next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND")
    }
  }

  test("a PENDING order gives its stock back and says why it ended", async () => {
    const user = await shop.newUser()
    const stock = await shop.stockOf("tea")
    const orderId = await place(user)
    expect(await shop.stockOf("tea")).toBe(stock - 2)
    const cancelled = await cancel(orderId, user)
    expect(cancelled).toMatchObject({
      ok: true,
      value: { id: orderId, status: "CANCELLED", cancellation: { reason: "customer" } }
    })
    expect(await shop.stockOf("tea")).toBe(stock)
    expect(cancelled.ok && cancelled.value).toEqual(await shop.ok(contract.orders.get, { orderId }, user))
  })

  test("a PAID order is refunded as well; its payment says so, and the history", async () => {
    const user = await shop.newUser(2_000)
    const orderId = await place(user)
    await pay(orderId, user)
    expect(await balanceOf(user)).toBe(500)
    expect(await cancel(orderId, user)).toMatchObject({ ok: true, value: { status: "CANCELLED" } })
    expect(await balanceOf(user)).toBe(2_000)
    const payment = await shop.ok(contract.payments.get, { orderId }, user)
    expect(payment).toMatchObject({ amountMinor: 1_500, refundedAt: expect.any(String) })
    const { items } = await shop.ok(contract.points.history, {}, user)
    expect(items.map(({ delta, kind }) => [kind, delta])).toEqual([
      ["refund", 1_500],
      ["payment", -1_500],
      ["grant", 2_000]
    ])
  })

  test("a cancelled order that is cancelled again is the same cancelled order, and nothing comes back twice", async () => {
    const user = await shop.newUser(2_000)
    const orderId = await place(user)
    await pay(orderId, user)
    const first = await cancel(orderId, user, "a")
    const stock = await shop.stockOf("tea")
    expect(await cancel(orderId, user, "a")).toEqual(first)
    expect(await cancel(orderId, user, "b")).toEqual(first)
    expect(await shop.stockOf("tea")).toBe(stock)
    expect(await balanceOf(user)).toBe(2_000)
  })

  // Guarantees: a cancelled order cannot come to life again, so what it gave back is not sold twice.
  test("payment of a cancelled, an expired, a foreign and an unknown order is refused by name", async () => {
    const [user, stranger] = await shop.newUsers(2, 10_000)
    const cancelled = await place(user!)
    await cancel(cancelled, user!)
    expect(await pay(cancelled, user!)).toMatchObject({
      status: 409,
      tag: "OrderNotPayable",
      error: { status: "CANCELLED" }
    })
    const refunded = await place(user!)
    await pay(refunded, user!)
    await cancel(refunded, user!)
    expect(await pay(refunded, user!)).toMatchObject({ tag: "OrderNotPayable" })
    const expired = await place(user!)
    await expireNow(expired)
    expect(await pay(expired, user!)).toMatchObject({ status: 412, tag: "OrderExpired" })
    await expire()
    expect(await pay(expired, user!)).toMatchObject({ status: 412, tag: "OrderExpired" })
    expect(await cancel(expired, user!)).toMatchObject({ status: 412, tag: "OrderExpired" })
    const foreign = await place(user!)
    expect(await pay(foreign, stranger!)).toMatchObject({ status: 404, tag: "OrderNotFound" })
    expect(await cancel(foreign, stranger!)).toMatchObject({ status: 404, tag: "OrderNotFound" })
    const unknown = "01900000-0000-7000-8000-000000000000"
    expect(await pay(unknown, user!)).toMatchObject({ status: 404, tag: "OrderNotFound" })
    expect(await cancel(unknown, user!)).toMatchObject({ status: 404, tag: "OrderNotFound" })
    expect(await balanceOf(user!)).toBe(10_000)
  })

  test("an order that was paid too long ago, or is on its way, stays as it is", async () => {
    const user = await shop.newUser(10_000)
    const late = await place(user)
    await pay(late, user)
    await shop.sql.query(
      "UPDATE payments SET created_at = created_at - INTERVAL 61 MINUTE WHERE order_id = UNHEX(?)",
      [binary(late)]
    )
    const stock = await shop.stockOf("tea")
    expect(await cancel(late, user)).toMatchObject({
      status: 412,
      tag: "CancellationPeriodOver",
      error: { orderId: late, endedAt: expect.any(String) }
    })
    const shipped = await place(user)
    await pay(shipped, user)
    await shop.sql.query("UPDATE orders SET status = 'SHIPPED' WHERE id = UNHEX(?)", [binary(shipped)])
    expect(await cancel(shipped, user)).toMatchObject({
      status: 409,
      tag: "OrderNotCancellable",
      error: { status: "SHIPPED" }
    })
    expect(await shop.stockOf("tea")).toBe(stock - 2)
  })

  test("the payment of an order: not paid yet, paid, foreign", async () => {
    const [user, stranger] = await shop.newUsers(2, 10_000)
    const orderId = await place(user!)
    expect(await shop.call(contract.payments.get, { orderId }, user)).toMatchObject({
      status: 404,
      tag: "PaymentNotFound"
    })
    const paid = await shop.ok(contract.payments.process, { orderId }, user)
    expect(await shop.ok(contract.payments.get, { orderId }, user)).toEqual(paid)
    expect(await shop.call(contract.payments.get, { orderId }, stranger)).toMatchObject({
      status: 404,
      tag: "OrderNotFound"
    })
  })

  test("an order that is not paid in time gives its stock back, by any number of workers at once, once", async () => {
    const user = await shop.newUser()
    const stock = await shop.stockOf("tea")
    // Each of another quantity: equal baskets of one user are placed one after another.
    const orders = await Promise.all(Array.from({ length: 30 }, (_, n) => place(user, n + 1)))
    const kept = await place(user, 5)
    for (const orderId of orders) await expireNow(orderId)
    expect(await shop.stockOf("tea")).toBe(stock - (30 * 31) / 2 - 5)
    const rounds = await Promise.all(Array.from({ length: 8 }, (_, index) => expire(index % 2)))
    const leftOver = await expireAll()
    expect(rounds.reduce((sum, count) => sum + count, leftOver)).toBe(30)
    expect(await shop.stockOf("tea")).toBe(stock - 5)
    expect(await expire()).toBe(0)
    const order = await shop.ok(contract.orders.get, { orderId: orders[0]! }, user)
    expect(order).toMatchObject({ status: "CANCELLED", cancellation: { reason: "expired" } })
    expect((await shop.ok(contract.orders.get, { orderId: kept }, user)).status).toBe("PENDING")
  })

  // Known from comparable systems: a refused order leaks stock. Here the order stands, and its refused payment is the end.
  test("an order that is never paid for want of points leaks no stock: it expires, and all of it is back", async () => {
    const [poor, next] = await shop.newUsers(2, 100)
    const sku = await shop.newProduct("wanted", 5, 1_000)
    const lines = [{ sku, quantity: 5 }]
    const { id } = await shop.ok(contract.orders.create, { lines }, poor)
    expect(await pay(id, poor!)).toMatchObject({ tag: "InsufficientPoints" })
    expect(await shop.call(contract.orders.create, { lines }, next)).toMatchObject({ tag: "OutOfStock" })
    await expireNow(id)
    expect(await expireAll()).toBe(1)
    expect(await shop.stockOf(sku)).toBe(5)
    expect(await shop.call(contract.orders.create, { lines }, next)).toMatchObject({ ok: true })
  })

  // Guarantees: an order that somebody has locked does not hold up the expiry of the others.
  test("expiry passes over an order that is being paid, and comes back for it", async () => {
    const user = await shop.newUser()
    const [held, free] = [await place(user), await place(user)]
    await expireNow(held)
    await expireNow(free)
    const connection = await shop.sql.getConnection()
    await connection.beginTransaction()
    await connection.query("SELECT 1 FROM orders WHERE id = UNHEX(?) FOR UPDATE", [binary(held)])
    const startedAtMs = performance.now()
    expect(await expire()).toBe(1)
    // Waiting for the lock would have taken four times the database's five seconds.
    expect(performance.now() - startedAtMs).toBeLessThan(15_000)
    await connection.rollback()
    connection.release()
    expect(await expireAll()).toBe(1)
  })

  // Known from comparable systems: an expired hold restores the stock of an order that was paid meanwhile.
  test("an expired hold restores no stock of an order that was paid between the worker's look and its lock", async () => {
    const user = await shop.newUser(2_000)
    const orderId = await place(user)
    await pay(orderId, user)
    await expireNow(orderId)
    const look = inTransaction(lockExpiredOrder(OrderId.make(orderId)))
    expect(await shop.servers[0].runtime.runPromise(look)).toBeUndefined()
  })

  test("one order that cannot be cancelled does not keep the others from it", async () => {
    const user = await shop.newUser()
    const [broken, healthy] = [await place(user), await place(user)]
    await expireNow(broken)
    await expireNow(healthy)
    await shop.sql.query(
      "INSERT INTO stock_ledger (sku, delta, kind, order_id) VALUES ('tea', 2, 'release', UNHEX(?))",
      [binary(broken)]
    )
    expect(await expire()).toBe(1)
    expect((await shop.ok(contract.orders.get, { orderId: healthy }, user)).status).toBe("CANCELLED")
    await shop.sql.query("DELETE FROM stock_ledger WHERE kind = 'release' AND order_id = UNHEX(?)", [
      binary(broken)
    ])
    expect(await expireAll()).toBe(1)
  })

  // Guarantees: the unique key of the ledger is there behind the row lock and the guarded UPDATE.
  test("stock that was released cannot be released again, even when all other guards fail", async () => {
    const user = await shop.newUser()
    const orderId = await place(user)
    await cancel(orderId, user)
    const stock = await shop.stockOf("tea")
    await shop.sql.query(
      "UPDATE orders SET status = 'PENDING', cancelled_at = NULL, cancel_reason = NULL WHERE id = UNHEX(?)",
      [binary(orderId)]
    )
    expect(await cancel(orderId, user)).toMatchObject({ status: 500 })
    expect(await shop.stockOf("tea")).toBe(stock)
    await shop.sql.query(
      "UPDATE orders SET status = 'CANCELLED', cancelled_at = UTC_TIMESTAMP(3), cancel_reason = 'customer' WHERE id = UNHEX(?)",
      [binary(orderId)]
    )
  })

  // Guarantees: the guarded UPDATE refuses an order whose state is not the one that was looked at.
  test("what is undone is the order's state under its lock, or nothing", async () => {
    const user = await shop.newUser(2_000)
    const orderId = await place(user)
    await pay(orderId, user)
    const stale = Effect.gen(function* () {
      const own = { userId: UserId.make(user.id), orderId: OrderId.make(orderId) }
      const [order] = yield* lockOrdersWithItems([own])
      const held = yield* lockWhatOrdersHold([order!])
      const now = new Date()
      const undone = makeUndo(held, "customer", now)({ ...order!, status: "PENDING" })
      yield* undoOrders([undone], "customer", now)
    })
    await expect(shop.servers[0].runtime.runPromise(inTransaction(stale))).rejects.toThrow(
      "1 orders were locked, 0 could be cancelled"
    )
    expect((await shop.ok(contract.orders.get, { orderId }, user)).status).toBe("PAID")
  })

  // Guarantees: 20 cancellations of a paid order at once give its points and its stock back once.
  test("20 cancellations at once: one refund, 20 equal answers", async () => {
    const user = await shop.newUser(2_000)
    const stock = await shop.stockOf("tea")
    const orderId = await place(user)
    await pay(orderId, user)
    const result = await race(20, () => shop.ok(contract.orders.cancel, { orderId }, user))
    expectExactly(result, 20)
    expect(new Set(result.fulfilled.map(({ value }) => JSON.stringify(value))).size).toBe(1)
    expect(await balanceOf(user)).toBe(2_000)
    expect(await shop.stockOf("tea")).toBe(stock)
  })

  // Guarantees: whatever comes first, and also when a payment and its cancellation both come through, all comes back once.
  test("expiry, payment and cancellation of one order at the same moment, 100 times: points and stock come back once", async () => {
    const users = await shop.newUsers(10, 1_000_000)
    const stock = await shop.stockOf("tea")
    const wins = { paid: 0, cancelled: 0, expired: 0 }
    const handicap = makeHandicap()
    for (let n = 0; n < 100; n++) {
      const user = users[n % 10]!
      const orderId = await place(user, 1)
      const leadMs = handicap.leadMs()
      await shop.sql.query(
        "UPDATE orders SET expires_at = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND WHERE id = UNHEX(?)",
        [(leadMs + handicap.graceMs()) * 1_000, binary(orderId)]
      )
      const before = await balanceOf(user)
      const [paid, cancelled] = await Promise.all([
        pay(orderId, user),
        setTimeout(leadMs).then(() => cancel(orderId, user)),
        setTimeout(leadMs).then(() => expire(n % 2)),
        setTimeout(leadMs).then(() => expire((n + 1) % 2))
      ])
      await eventually(async () => {
        await expire()
        expect((await shop.ok(contract.orders.get, { orderId }, user)).status).not.toBe("PENDING")
      })
      const order = await shop.ok(contract.orders.get, { orderId }, user)
      const reason = order.cancellation?.reason
      expect(order.status).toBe("CANCELLED")
      expect(await balanceOf(user)).toBe(before)
      const winner = reason === "expired" ? "expired" : paid.ok ? "paid" : "cancelled"
      wins[winner] += 1
      handicap.learn(winner)
      if (winner === "expired") {
        expect(cancelled).toMatchObject({ ok: false, tag: "OrderExpired" })
        expect(paid).toMatchObject({ ok: false, tag: "OrderExpired" })
      } else expect(cancelled.ok).toBe(true)
    }
    expect(await shop.stockOf("tea")).toBe(stock)
    // A race in which one side never wins is none.
    expect(Object.values(wins).filter((times) => times === 0)).toEqual([])
  })
})
