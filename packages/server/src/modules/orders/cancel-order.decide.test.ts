import { AmountMinor, type Order, OrderStatus } from "@holdfast/domain"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { accepted, expectFairDecision, NOW, orderId, userId } from "../../../test/decisions.ts"
import { cancelOrders } from "./cancel-order.ts"

const PAID_WITHIN_MS = 1_000

const order = fc
  .record({
    n: fc.nat(4),
    status: fc.constantFrom(...OrderStatus.literals),
    total: fc.nat(50),
    paidMsAgo: fc.nat(2_000)
  })
  .map(({ n, paidMsAgo, status, total }) => {
    const one: Order = {
      id: orderId(n),
      userId: userId(0),
      status,
      items: [],
      totalMinor: AmountMinor.make(total),
      discountMinor: AmountMinor.make(0),
      createdAt: NOW,
      expiresAt: NOW,
      ...(status === "CANCELLED" ? { cancellation: { at: NOW, reason: "expired" as const } } : {})
    }
    return { one, paidAt: new Date(NOW.getTime() - paidMsAgo) }
  })

const locked = fc.array(order).map((all) => ({
  orders: new Map(all.map(({ one }) => [one.id, one])),
  paidAt: new Map(all.map(({ one, paidAt }) => [one.id, paidAt])),
  held: { coupons: new Map(), balances: new Map([[userId(0), 7]]) }
}))
const requests = fc
  .array(fc.nat(5), { maxLength: 10 })
  .map((drawn) =>
    drawn.map((n) => ({ orderId: orderId(n), userId: userId(0), paidWithinMs: PAID_WITHIN_MS }))
  )

describe("cancelling", () => {
  test("is fair: later requests change no earlier outcome, and a refused one changes nothing", () => {
    fc.assert(
      fc.property(locked, requests, (state, some) =>
        expectFairDecision(some, (items) => cancelOrders(state, items, NOW))
      )
    )
  })

  test("undoes each order once, only PENDING ones and those paid a short while ago, and refunds what was paid", () => {
    fc.assert(
      fc.property(locked, requests, (state, some) => {
        const undone = accepted(cancelOrders(state, some, NOW)).filter(({ before }) => before !== undefined)
        expect(new Set(undone.map(({ output }) => output.id)).size).toBe(undone.length)
        let balance = 7
        for (const { balanceAfter, before, output } of undone) {
          expect(output.status).toBe("CANCELLED")
          expect(["PENDING", "PAID"]).toContain(before!.status)
          if (before!.status === "PENDING") expect(balanceAfter).toBeUndefined()
          else {
            const paidMsAgo = NOW.getTime() - state.paidAt.get(output.id)!.getTime()
            expect(paidMsAgo).toBeLessThanOrEqual(PAID_WITHIN_MS)
            balance += before!.totalMinor
            expect(balanceAfter).toBe(balance)
          }
        }
      })
    )
  })
})
