import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { setTimeout } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import { runJob } from "../../../test/jobs.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { issue, newCoupon } from "../../../test/sale.ts"
import { orderExpiry } from "./expiry-job.ts"
import { makeHandicap } from "../../../test/handicap.ts"

const PRICE_MINOR = 1_000
const DISCOUNT_MINOR = 100

describe("the end of an order that is not cancelled once it is paid", () => {
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  beforeAll(async () => {
    // Before any time has passed: else a cancellation that comes after the payment would come through as well.
    shop = await Shop.open({ servers: 2, settings: { cancellation: { paidWithinMs: -1 } } })
    users = await shop.newUsers(10, 1_000_000)
    await shop.newProduct("tea", 1_000, PRICE_MINOR)
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

  const placeWithCoupon = async (user: TestUser) => {
    const discount = { kind: "fixed", amountMinor: DISCOUNT_MINOR } as const
    const { id: couponId } = await newCoupon(shop, { quantity: 1, discount })
    const userCouponId = (await issue(shop, couponId, user)).id
    const order = { lines: [{ sku: "tea", quantity: 1 }], userCouponId }
    return { orderId: (await shop.ok(contract.orders.create, order, user)).id, userCouponId }
  }

  const expireIn = (orderId: string, ms: number) =>
    shop.sql.query("UPDATE orders SET expires_at = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND WHERE id = ?", [
      ms * 1_000,
      bytesOf(orderId)
    ])

  const handicap = makeHandicap()

  const endAll = async (orderId: string, user: TestUser, nth: number) => {
    const leadMs = handicap.leadMs()
    await expireIn(orderId, leadMs + handicap.graceMs())
    const [paid, cancelled] = await Promise.all([
      shop.call(contract.payments.process, { orderId }, user),
      setTimeout(leadMs).then(() => shop.call(contract.orders.cancel, { orderId }, user)),
      setTimeout(leadMs).then(() => runJob(shop.servers[nth % 2]!, orderExpiry)),
      setTimeout(leadMs).then(() => runJob(shop.servers[(nth + 1) % 2]!, orderExpiry))
    ])
    const order = await eventually(async () => {
      await runJob(shop.servers[0], orderExpiry)
      const now = await shop.ok(contract.orders.get, { orderId }, user)
      expect(now.status).not.toBe("PENDING")
      return now
    })
    return { cancelled, order, paid }
  }

  const countReturns = async (orderId: string) => {
    const [rows] = await shop.sql.query(
      `SELECT (SELECT COUNT(*) FROM stock_ledger WHERE kind = 'release' AND order_id = ?) AS stock,
        (SELECT COUNT(*) FROM coupon_ledger WHERE kind = 'return' AND order_id = ?) AS coupon,
        (SELECT COUNT(*) FROM point_ledger WHERE kind = 'refund' AND order_id = ?) AS points`,
      [bytesOf(orderId), bytesOf(orderId), bytesOf(orderId)]
    )
    return (rows as unknown as [{ stock: number; coupon: number; points: number }])[0]
  }

  const balanceOf = async (user: TestUser) => (await shop.ok(contract.points.balance, {}, user)).balance

  // Guarantees: whoever comes first decides; an expired hold never restores the stock of an order paid meanwhile.
  test(
    "expiry, payment and cancellation of one order at the same moment, 100 times: exactly one wins, and what comes back comes back once",
    { timeout: 180_000 },
    async () => {
      const wins = { paid: 0, cancelled: 0, expired: 0 }
      for (let nth = 0; nth < 100; nth++) {
        const user = users[nth % 10]!
        const balance = await balanceOf(user)
        const { orderId, userCouponId } = await placeWithCoupon(user)
        const { cancelled, order, paid } = await endAll(orderId, user, nth)
        const isExpired = order.cancellation?.reason === "expired"
        expect([paid.ok, cancelled.ok, isExpired].filter(Boolean)).toHaveLength(1)
        const winner = paid.ok ? "paid" : cancelled.ok ? "cancelled" : "expired"
        wins[winner] += 1
        handicap.learn(winner)
        expect(order.status).toBe(paid.ok ? "PAID" : "CANCELLED")
        expect(await balanceOf(user)).toBe(balance - (paid.ok ? PRICE_MINOR - DISCOUNT_MINOR : 0))
        const times = paid.ok ? 0 : 1
        expect(await countReturns(orderId)).toEqual({ stock: times, coupon: times, points: 0 })
        const { items } = await shop.ok(contract.coupons.mine, { limit: 1 }, user)
        expect(items[0]).toMatchObject({ id: userCouponId, ...(paid.ok ? { orderId } : {}) })
        expect("orderId" in items[0]!).toBe(paid.ok)
      }
      expect(await shop.stockOf("tea")).toBe(1_000 - wins.paid)
      // A race in which one side never wins is none.
      expect(Object.values(wins).filter((times) => times === 0)).toEqual([])
    }
  )
})
