import {
  contract,
  InsufficientPoints,
  type Order,
  OrderExpired,
  type OrderId,
  OrderNotFound,
  OrderNotPayable,
  type Payment,
  type PaymentId,
  PaymentNotFound,
  PaymentProcessLock,
  type UserId
} from "@holdfast/domain"
import { Effect, Result } from "effect"
import { command } from "../../platform/command/command.ts"
import { newPaymentId } from "../../platform/db/ids.ts"
import { failpoint } from "../../platform/failpoints.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import { query } from "../../platform/trpc/handler.ts"
import {
  advanceOrders,
  findOrder,
  lockOrders,
  ordersChanged,
  type OwnOrderId,
  skippedOrders
} from "../orders/service.ts"
import { insertDebits, lockBalances } from "../points/service.ts"
import { findPayment, insertPayments, paymentsOfOrders } from "./repository.ts"

declare module "../../platform/failpoints.ts" {
  interface Failpoints {
    "payment: points debited": true
    "payment: payment inserted": true
    "payment: order paid": true
    "payment: event written": true
  }
}

/** Debits the buyer's points and makes the order PAID, once: a repeated call gets the same payment. */
export const processPayment = command(contract.payments.process, {
  prepare: ({ caller, input }) =>
    Effect.sync((): RequestedPayment => ({
      paymentId: newPaymentId(),
      userId: caller.userId,
      orderId: input.orderId
    })),
  lock: ({ orderId }) => PaymentProcessLock.of(orderId),
  group: { queue: () => "orders" },
  transaction: {
    lock: lockOrdersToPay,
    blockedBy: ({ held }, { orderId, userId }) => [orderId, userId].find((row) => held.has(row)),
    decide: payOrders,
    write: insertPaid
  },
  afterCommit: (payments) => ordersChanged(payments.map(({ orderId }) => orderId))
})

interface RequestedPayment extends OwnOrderId {
  readonly paymentId: PaymentId
}

/** The orders come first: a second payment of an order waits there and finds it paid. */
function lockOrdersToPay(requests: ReadonlyArray<RequestedPayment>, heldRows: "skip" | "wait") {
  return Effect.gen(function* () {
    const orders = yield* lockOrders(requests, heldRows)
    const buyers = orders.filter(({ status }) => status === "PENDING").map(({ userId }) => userId)
    const settled = orders.filter(({ status }) => status !== "PENDING")
    const payments = yield* paymentsOfOrders(settled.map(({ id }) => id))
    const balances = yield* lockBalances(buyers, heldRows)
    const held = new Set<string>(buyers.filter((userId) => !balances.has(userId)))
    if (heldRows === "skip") for (const id of yield* skippedOrders(requests, orders)) held.add(id)
    return { orders: new Map(orders.map((order) => [order.id, order])), payments, balances, held }
  })
}

interface LockedOrders {
  readonly orders: ReadonlyMap<OrderId, Order>
  /** Of the orders that are not PENDING. */
  readonly payments: ReadonlyMap<OrderId, Payment>
  /** Of the buyers of PENDING orders. */
  readonly balances: ReadonlyMap<UserId, number>
}

/** A payment, and what it debits. `debit` is absent when the order had been paid before. */
export interface DecidedPayment {
  readonly output: Payment
  readonly debit?: { readonly userId: UserId; readonly balanceAfter: number }
}

/** An order is paid once. Each payment has what the payments before it leave of the balance. */
export function payOrders(
  { balances, orders, payments }: LockedOrders,
  requests: ReadonlyArray<RequestedPayment>,
  now: Date
): ReadonlyArray<
  Result.Result<DecidedPayment, OrderNotFound | OrderExpired | OrderNotPayable | InsufficientPoints>
> {
  const running = new Map(balances)
  const paid = new Map(payments)
  return requests.map(({ orderId, paymentId, userId }) => {
    const order = orders.get(orderId)
    // Another user's order may be locked for its owner's request in the same list.
    if (order?.userId !== userId) return Result.fail(new OrderNotFound({ orderId }))
    const { cancellation, expiresAt, status, totalMinor } = order
    const earlier = paid.get(orderId)
    if (earlier !== undefined && status !== "CANCELLED") return Result.succeed({ output: earlier })
    if (cancellation?.reason === "expired" || (status === "PENDING" && expiresAt <= now))
      return Result.fail(new OrderExpired({ orderId, expiredAt: expiresAt }))
    if (status !== "PENDING") return Result.fail(new OrderNotPayable({ orderId, status }))
    const available = running.get(userId) ?? 0
    if (available < totalMinor)
      return Result.fail(new InsufficientPoints({ required: totalMinor, available }))
    const output: Payment = { id: paymentId, orderId, amountMinor: totalMinor, createdAt: now }
    const balanceAfter = available - totalMinor
    running.set(userId, balanceAfter)
    paid.set(orderId, output)
    return Result.succeed({ output, debit: { userId, balanceAfter } })
  })
}

function insertPaid(decided: ReadonlyArray<DecidedPayment>) {
  return Effect.gen(function* () {
    const paid = decided.flatMap(({ debit, output }) =>
      debit === undefined ? [] : [{ payment: output, ...debit }]
    )
    if (paid.length === 0) return
    yield* insertDebits(
      paid.map(({ balanceAfter, payment, userId }) => ({
        userId,
        delta: 0 - payment.amountMinor,
        balanceAfter,
        kind: "payment",
        orderId: payment.orderId,
        actorId: userId
      }))
    )
    yield* failpoint("payment: points debited")
    yield* insertPayments(paid)
    yield* failpoint("payment: payment inserted")
    yield* advanceOrders(
      paid.map(({ payment }) => payment.orderId),
      "PENDING",
      "PAID"
    )
    yield* failpoint("payment: order paid")
    yield* insertEvents(
      paid.map(({ payment, userId }) => ({
        topic: "order.paid",
        payload: {
          orderId: payment.orderId,
          userId,
          paymentId: payment.id,
          amountMinor: payment.amountMinor
        },
        cause: payment
      }))
    )
    yield* failpoint("payment: event written")
  })
}

export const getPayment = query(
  contract.payments.get,
  Effect.fnUntraced(function* ({ caller, input: { orderId } }) {
    const payment = yield* findPayment(caller.userId, orderId)
    if (payment !== undefined) return payment
    const order = yield* findOrder(caller.userId, orderId)
    return yield* order === undefined ? new OrderNotFound({ orderId }) : new PaymentNotFound({ orderId })
  })
)
