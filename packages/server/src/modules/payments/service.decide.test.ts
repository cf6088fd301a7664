import { AmountMinor, type Order, OrderStatus, PaymentId, type UserId } from "@holdfast/domain"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  accepted,
  expectDecidedOneByOne,
  expectFairDecision,
  NOW,
  orderId,
  userId,
  withEntry
} from "../../../test/decisions.ts"
import { payOrders } from "./service.ts"

const order = fc
  .record({
    n: fc.nat(4),
    user: fc.nat(1),
    total: fc.nat(60),
    // Most orders are payable, so that payments of one user follow one another.
    status: fc.oneof(
      { weight: 3, arbitrary: fc.constant("PENDING" as const) },
      fc.constantFrom(...OrderStatus.literals)
    ),
    isLate: fc.nat(4).map((one) => one === 0)
  })
  .map(({ isLate, n, status, total, user }): Order => ({
    id: orderId(n),
    userId: userId(user),
    status,
    items: [],
    totalMinor: AmountMinor.make(total),
    discountMinor: AmountMinor.make(0),
    createdAt: NOW,
    expiresAt: new Date(NOW.getTime() + (isLate ? 0 : 1)),
    ...(status === "CANCELLED" ? { cancellation: { at: NOW, reason: "customer" as const } } : {})
  }))

/** As the transaction locks it: the orders of their users, the payments of those paid, the balances of the buyers. */
const locked = fc
  .record({ orders: fc.array(order), balances: fc.tuple(fc.nat(100), fc.nat(100)) })
  .map(({ balances, orders }) => ({
    orders: new Map(orders.map((one) => [one.id, one])),
    payments: new Map(
      orders
        .filter(({ status }) => status !== "PENDING" && status !== "CANCELLED")
        .map((one, index) => [one.id, payment(100 + index, one)])
    ),
    balances: new Map<UserId, number>(balances.map((points, n) => [userId(n), points]))
  }))

const payment = (n: number, { id, totalMinor }: Order) => ({
  id: PaymentId.make(`01890000-0000-7000-8004-${String(n).padStart(12, "0")}`),
  orderId: id,
  amountMinor: totalMinor,
  createdAt: NOW
})

/** One in four asks for an order that may be another user's. */
const asks = fc.array(fc.record({ n: fc.nat(5), isStranger: fc.nat(3).map((one) => one === 0) }), {
  maxLength: 12
})
type Ask = typeof asks extends fc.Arbitrary<ReadonlyArray<infer One>> ? One : never

describe("paying orders", () => {
  const requestsOf = (orders: ReadonlyMap<unknown, Order>, drawn: ReadonlyArray<Ask>) =>
    drawn.map(({ isStranger, n }, index) => ({
      paymentId: payment(index, { id: orderId(n), totalMinor: AmountMinor.make(0) } as Order).id,
      orderId: orderId(n),
      userId: (isStranger ? undefined : orders.get(orderId(n))?.userId) ?? userId(0)
    }))

  test("is fair: later payments change no earlier outcome, and a refused payment changes nothing", () => {
    fc.assert(
      fc.property(locked, asks, (state, drawn) =>
        expectFairDecision(requestsOf(state.orders, drawn), (some) => payOrders(state, some, NOW))
      )
    )
  })

  test("decides a list as it decides one payment after the other", () => {
    fc.assert(
      fc.property(locked, asks, (state, drawn) =>
        expectDecidedOneByOne(
          state,
          requestsOf(state.orders, drawn),
          (current, some) => payOrders(current, some, NOW),
          (current, { debit, output }) =>
            debit === undefined
              ? current
              : {
                  orders: withEntry(current.orders, output.orderId, {
                    ...current.orders.get(output.orderId)!,
                    status: "PAID" as const
                  }),
                  payments: withEntry(current.payments, output.orderId, output),
                  balances: withEntry(current.balances, debit.userId, debit.balanceAfter)
                }
        )
      )
    )
  })

  test("debits each payable order once, within the balance, and repeats the payment of a paid one", () => {
    fc.assert(
      fc.property(locked, asks, (state, drawn) => {
        const requests = requestsOf(state.orders, drawn)
        const paid = accepted(payOrders(state, requests, NOW))
        const debited = paid.filter(({ debit }) => debit !== undefined)
        expect(new Set(debited.map(({ output }) => output.orderId)).size).toBe(debited.length)
        const running = new Map(state.balances)
        for (const { debit, output } of debited) {
          const { expiresAt, status, totalMinor } = state.orders.get(output.orderId)!
          expect([status, expiresAt > NOW, output.amountMinor]).toEqual(["PENDING", true, totalMinor])
          const balanceAfter = running.get(debit!.userId)! - totalMinor
          expect(debit!.balanceAfter).toBe(balanceAfter)
          expect(balanceAfter).toBeGreaterThanOrEqual(0)
          running.set(debit!.userId, balanceAfter)
        }
        const first = new Map(paid.toReversed().map(({ output }) => [output.orderId, output]))
        for (const { output } of paid) expect(output).toBe(first.get(output.orderId))
      })
    )
  })

  test("refuses what is cancelled, expired, unknown, of another user, or more than is left", () => {
    fc.assert(
      fc.property(locked, asks, (state, drawn) => {
        const running = new Map(state.balances)
        const requests = requestsOf(state.orders, drawn)
        payOrders(state, requests, NOW).forEach((outcome, index) => {
          const one = state.orders.get(requests[index]!.orderId)
          const isOwn = one?.userId === requests[index]!.userId
          if (outcome._tag === "Success") {
            expect(isOwn).toBe(true)
            if (outcome.success.debit !== undefined)
              running.set(outcome.success.debit.userId, outcome.success.debit.balanceAfter)
            return
          }
          const expected =
            one === undefined || !isOwn
              ? "OrderNotFound"
              : one.status === "CANCELLED"
                ? "OrderNotPayable"
                : one.expiresAt <= NOW
                  ? "OrderExpired"
                  : "InsufficientPoints"
          expect(outcome.failure._tag).toBe(expected)
          if (expected === "InsufficientPoints")
            expect(running.get(one!.userId)).toBeLessThan(one!.totalMinor)
        })
      })
    )
  })
})
