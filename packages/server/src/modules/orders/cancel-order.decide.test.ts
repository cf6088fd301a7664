import { AmountMinor, CouponId, type Order, OrderStatus, type UserId } from "@holdfast/domain"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  accepted,
  expectDecidedOneByOne,
  expectFairDecision,
  NOW,
  orderId,
  userCouponId,
  userId,
  withEntry
} from "../../../test/decisions.ts"
import type { OrderCoupon } from "../coupons/service.ts"
import { cancelOrders } from "./cancel-order.ts"

const PAID_WITHIN_MS = 1_000

const order = fc
  .record({
    n: fc.nat(4),
    status: fc.constantFrom(...OrderStatus.literals),
    total: fc.nat(50),
    user: fc.nat(1),
    reason: fc.constantFrom("customer" as const, "expired" as const),
    paidMsAgo: fc.nat(2_000)
  })
  .map(({ n, paidMsAgo, reason, status, total, user }) => {
    const one: Order = {
      id: orderId(n),
      userId: userId(user),
      status,
      items: [],
      totalMinor: AmountMinor.make(total),
      discountMinor: AmountMinor.make(0),
      createdAt: NOW,
      expiresAt: NOW,
      ...(status === "CANCELLED" ? { cancellation: { at: NOW, reason } } : {})
    }
    return { one, paidAt: new Date(NOW.getTime() - paidMsAgo) }
  })

const BALANCES = new Map<UserId, number>([
  [userId(0), 7],
  [userId(1), 0]
])

const couponOf = (one: Order): OrderCoupon => ({
  id: userCouponId(0),
  couponId: CouponId.make("01890000-0000-7000-8000-000000000000"),
  userId: one.userId,
  orderId: one.id
})

const locked = fc.array(order).map((all) => ({
  orders: new Map(all.map(({ one }) => [one.id, one])),
  paidAt: new Map(all.map(({ one, paidAt }) => [one.id, paidAt])),
  held: { coupons: new Map(all.map(({ one }) => [one.id, couponOf(one)])), balances: BALANCES }
}))
const requests = fc
  .array(fc.record({ n: fc.nat(5), user: fc.nat(1) }), { maxLength: 10 })
  .map((drawn) =>
    drawn.map(({ n, user }) => ({ orderId: orderId(n), userId: userId(user), paidWithinMs: PAID_WITHIN_MS }))
  )

describe("cancelling", () => {
  test("is fair: later requests change no earlier outcome, and a refused one changes nothing", () => {
    fc.assert(
      fc.property(locked, requests, (state, some) =>
        expectFairDecision(some, (items) => cancelOrders(state, items, NOW))
      )
    )
  })

  test("decides a list as it decides one cancellation after the other", () => {
    fc.assert(
      fc.property(locked, requests, (state, some) =>
        expectDecidedOneByOne(
          state,
          some,
          (current, items) => cancelOrders(current, items, NOW),
          ({ held, orders, paidAt }, { balanceAfter, output }) => ({
            orders: withEntry(orders, output.id, output),
            paidAt,
            held: {
              coupons: held.coupons,
              balances:
                balanceAfter === undefined
                  ? held.balances
                  : withEntry(held.balances, output.userId, balanceAfter)
            }
          })
        )
      )
    )
  })

  test("finds no order of another user, also when its owner cancels it in the same list", () => {
    fc.assert(
      fc.property(locked, requests, (state, some) => {
        cancelOrders(state, some, NOW).forEach((outcome, index) => {
          const asked = some[index]!
          const isFound = !(outcome._tag === "Failure" && outcome.failure._tag === "OrderNotFound")
          expect(isFound).toBe(state.orders.get(asked.orderId)?.userId === asked.userId)
        })
      })
    )
  })

  test("undoes each order once, only PENDING ones and those paid a short while ago, and refunds what was paid", () => {
    fc.assert(
      fc.property(locked, requests, (state, some) => {
        const undone = accepted(cancelOrders(state, some, NOW)).filter(({ before }) => before !== undefined)
        expect(new Set(undone.map(({ output }) => output.id)).size).toBe(undone.length)
        const running = new Map(BALANCES)
        for (const { balanceAfter, before, coupon, output } of undone) {
          expect(coupon).toEqual(couponOf(before!))
          expect(output.status).toBe("CANCELLED")
          expect(["PENDING", "PAID"]).toContain(before!.status)
          if (before!.status === "PENDING") expect(balanceAfter).toBeUndefined()
          else {
            const paidMsAgo = NOW.getTime() - state.paidAt.get(output.id)!.getTime()
            expect(paidMsAgo).toBeLessThanOrEqual(PAID_WITHIN_MS)
            const balance = running.get(output.userId)! + before!.totalMinor
            running.set(output.userId, balance)
            expect(balanceAfter).toBe(balance)
          }
        }
      })
    )
  })
})
