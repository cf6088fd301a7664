import { AmountMinor, mergeLines, type Product, type UserCoupon, CouponId } from "@holdfast/domain"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  accepted,
  expectDecidedOneByOne,
  expectFairDecision,
  NOW,
  orderId,
  sku,
  userCouponId,
  userId,
  withEntry
} from "../../../test/decisions.ts"
import { type LockedGoods, placeOrders, type RequestedOrder } from "./create-order.ts"

const MAXIMUM = Number.MAX_SAFE_INTEGER

const product = fc
  .record({
    n: fc.nat(3),
    stock: fc.nat(12),
    price: fc.oneof(fc.nat(500), fc.constantFrom(MAXIMUM, Math.ceil(MAXIMUM / 2)))
  })
  .map(({ n, price, stock }): Product => ({
    sku: sku(n),
    name: "goods",
    priceMinor: AmountMinor.make(price),
    stock,
    createdAt: NOW
  }))

const coupon = fc
  .record({ n: fc.nat(2), percent: fc.integer({ min: 1, max: 50 }) })
  .map(({ n, percent }): UserCoupon => ({
    id: userCouponId(n),
    couponId: CouponId.make("01890000-0000-7000-8000-000000000000"),
    userId: userId(0),
    name: "off",
    discount: { kind: "percent", percent },
    minimumOrderMinor: AmountMinor.make(100),
    issuedAt: NOW,
    expiresAt: new Date(NOW.getTime() + 1)
  }))

const MAXIMUM_UNPAID = { orders: 4, units: 20 }
const unpaid = fc.record({ orders: fc.nat(4), units: fc.nat(20) })

const goods = fc
  .record({
    products: fc.array(product),
    coupons: fc.array(coupon),
    unpaid: fc.array(fc.tuple(fc.nat(1).map(userId), unpaid))
  })
  .map(({ coupons, products, unpaid: ofUsers }): LockedGoods => ({
    unpaid: new Map(ofUsers),
    products: new Map(products.map((one) => [one.sku, one])),
    coupons: new Map(coupons.map((one) => [one.id, one]))
  }))

const line = fc.record({ sku: fc.nat(4).map(sku), quantity: fc.integer({ min: 1, max: 6 }) })
const requests = fc
  .array(
    fc.record({
      lines: fc.array(line, { minLength: 1, maxLength: 3 }).map(mergeLines),
      coupon: fc.option(fc.nat(3), { nil: undefined }),
      user: fc.nat(1)
    }),
    { maxLength: 12 }
  )
  .map((drawn) =>
    drawn.map(({ coupon: n, lines, user }, index): RequestedOrder => ({
      id: orderId(index),
      userId: userId(user),
      lines,
      userCouponId: n === undefined ? undefined : userCouponId(n),
      expiresAfterMs: 600_000,
      maximumUnpaid: MAXIMUM_UNPAID
    }))
  )

/** What is unpaid after one more order. */
const plus = (
  before: { readonly orders: number; readonly units: number } = { orders: 0, units: 0 },
  lines: ReadonlyArray<{ readonly quantity: number }>
) => ({
  orders: before.orders + 1,
  units: lines.reduce((units, { quantity }) => units + quantity, before.units)
})

describe("placing orders", () => {
  test("is fair: later orders change no earlier outcome, and a refused order changes nothing", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) =>
        expectFairDecision(orders, (some) => placeOrders(locked, some, NOW))
      )
    )
  })

  test("decides a list as it decides one order after the other", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) =>
        expectDecidedOneByOne(
          locked,
          orders,
          (state, some) => placeOrders(state, some, NOW),
          ({ coupons, products, unpaid: before }, { coupon: used, output }) => ({
            unpaid: withEntry(before, output.userId, plus(before.get(output.userId), output.items)),
            products: output.items.reduce((left, { quantity, sku: name }) => {
              const before = left.get(name)!
              return withEntry(left, name, { ...before, stock: before.stock - quantity })
            }, products),
            coupons:
              used === undefined ? coupons : withEntry(coupons, used.id, { ...used, orderId: output.id })
          })
        )
      )
    )
  })

  test("holds no more for a user than the bounds say, and refuses no order within them for that", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) => {
        const held = new Map(locked.unpaid)
        placeOrders(locked, orders, NOW).forEach((outcome, index) => {
          const { lines, userId: buyer } = orders[index]!
          const after = plus(held.get(buyer), lines)
          const fits = after.orders <= MAXIMUM_UNPAID.orders && after.units <= MAXIMUM_UNPAID.units
          if (outcome._tag === "Success") held.set(buyer, after)
          const isRefused = outcome._tag === "Failure" && outcome.failure._tag === "TooManyUnpaidOrders"
          expect(isRefused).toBe(!fits)
        })
      })
    )
  })

  test("never sells more units of a product than its stock, nor refuses an order that fits", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) => {
        const left = new Map([...locked.products].map(([name, { stock }]) => [name, stock]))
        placeOrders(locked, orders, NOW).forEach((outcome, index) => {
          const { lines } = orders[index]!
          const fits = lines.every(({ quantity, sku: name }) => (left.get(name) ?? -1) >= quantity)
          if (outcome._tag === "Success")
            for (const { quantity, sku: name } of lines) left.set(name, left.get(name)! - quantity)
          else if (["ProductNotFound", "OutOfStock"].includes(outcome.failure._tag)) expect(fits).toBe(false)
          if (outcome._tag === "Success") expect(fits).toBe(true)
        })
        for (const units of left.values()) expect(units).toBeGreaterThanOrEqual(0)
      })
    )
  })

  test("redeems no coupon of another user: it is not found, also when its owner orders in the same list", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) => {
        placeOrders(locked, orders, NOW).forEach((outcome, index) => {
          const { userCouponId: id, userId: buyer } = orders[index]!
          if (id === undefined || locked.coupons.get(id)?.userId === buyer) return
          const tags = [
            "TooManyUnpaidOrders",
            "ProductNotFound",
            "OutOfStock",
            "OrderTotalTooLarge",
            "UserCouponNotFound"
          ]
          expect(tags).toContain(outcome._tag === "Failure" ? outcome.failure._tag : "placed")
        })
      })
    )
  })

  test("refuses an order whose price is not exact, and only such an order, whatever the others in the list cost", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) => {
        placeOrders(locked, orders, NOW).forEach((outcome, index) => {
          const { lines } = orders[index]!
          const tag = outcome._tag === "Success" ? "placed" : outcome.failure._tag
          if (["TooManyUnpaidOrders", "ProductNotFound", "OutOfStock"].includes(tag)) return
          const price = lines.reduce(
            (sum, { quantity, sku: name }) =>
              sum + BigInt(quantity) * BigInt(locked.products.get(name)!.priceMinor),
            0n
          )
          expect(tag === "OrderTotalTooLarge").toBe(price > BigInt(MAXIMUM))
        })
      })
    )
  })

  test("uses a coupon once, and takes off at most half of the price", () => {
    fc.assert(
      fc.property(goods, requests, (locked, orders) => {
        const placed = accepted(placeOrders(locked, orders, NOW))
        const used = placed.flatMap(({ coupon: one }) => (one === undefined ? [] : [one.id]))
        expect(new Set(used).size).toBe(used.length)
        for (const { output } of placed) {
          const price = output.items.reduce((sum, item) => sum + item.quantity * item.unitPriceMinor, 0)
          expect(output.totalMinor + output.discountMinor).toBe(price)
          expect(output.discountMinor).toBeLessThanOrEqual(price / 2)
        }
      })
    )
  })
})
