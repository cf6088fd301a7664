import {
  type CancelReason,
  CancellationPeriodOver,
  contract,
  type Order,
  OrderExpired,
  type OrderId,
  OrderNotCancellable,
  OrderNotFound
} from "@holdfast/domain"
import { Effect, Result } from "effect"
import { ServerConfig } from "../../config.ts"
import { command } from "../../platform/command/command.ts"
import { failpoint } from "../../platform/failpoints.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import type { Call } from "../../platform/trpc/handler.ts"
import { lockProducts, productsChanged, releaseUnits } from "../catalog/service.ts"
import { lockCouponsOfOrders, type OrderCoupon, returnCoupons } from "../coupons/service.ts"
import { insertCredits, lockBalances } from "../points/service.ts"
import {
  insertRefunds,
  lockOrdersWithItems,
  type OwnOrderId,
  paidAtOfOrders,
  updateCancelled
} from "./repository.ts"
import { ordersChanged } from "./service.ts"

declare module "../../platform/failpoints.ts" {
  interface Failpoints {
    "cancel: order cancelled": true
    "cancel: stock released": true
    "cancel: coupon returned": true
    "cancel: points refunded": true
  }
}

/** Cancels a PENDING order any time and a PAID one within a period: stock, coupon and points go back, once. */
export const cancelOrder = command(contract.orders.cancel, {
  prepare,
  transaction: {
    lock: lockOrdersToCancel,
    decide: cancelOrders,
    write: (cancelled, now) => undoOrders(cancelled, "customer", now)
  },
  afterCommit: (orders) => ordersUndone(orders)
})

interface RequestedCancellation extends OwnOrderId {
  readonly paidWithinMs: number
}

function prepare({ caller, input }: Call<typeof contract.orders.cancel>) {
  return Effect.map(ServerConfig, ({ cancellation: { paidWithinMs } }): RequestedCancellation => ({
    userId: caller.userId,
    orderId: input.orderId,
    paidWithinMs
  }))
}

/** The orders come first: a payment, the expiry or another cancellation waits there and finds the outcome. */
function lockOrdersToCancel(requests: ReadonlyArray<RequestedCancellation>) {
  return Effect.gen(function* () {
    const orders = yield* lockOrdersWithItems(requests)
    const paid = orders.filter(({ status }) => status === "PAID")
    const paidAt = yield* paidAtOfOrders(paid.map(({ id }) => id))
    const cancellable = orders.filter(({ status }) => status === "PENDING" || status === "PAID")
    const held = yield* lockWhatOrdersHold(cancellable)
    return { orders: new Map(orders.map((order) => [order.id, order])), paidAt, held }
  })
}

/** What locked orders hold and a cancellation gives back, locked in the order in which every use case locks it. */
export const lockWhatOrdersHold = Effect.fnUntraced(function* (orders: ReadonlyArray<Order>) {
  yield* lockProducts(orders.flatMap(({ items }) => items.map(({ sku }) => sku)))
  const coupons = yield* lockCouponsOfOrders(orders.map(({ id }) => id))
  const paid = orders.filter(({ status }) => status === "PAID")
  const balances = yield* lockBalances(paid.map(({ userId }) => userId))
  return { coupons, balances }
})

type Held = Effect.Success<ReturnType<typeof lockWhatOrdersHold>>

interface LockedOrders {
  readonly orders: ReadonlyMap<OrderId, Order>
  readonly paidAt: ReadonlyMap<OrderId, Date>
  readonly held: Held
}

/**
 * A cancelled order stays as it is: asked again, the answer is the same order. Another user's order is not found, also
 * when it is locked for its owner's request in the same list.
 */
export function cancelOrders(
  { held, orders, paidAt }: LockedOrders,
  requests: ReadonlyArray<RequestedCancellation>,
  now: Date
): ReadonlyArray<
  Result.Result<UndoneOrder, OrderNotFound | OrderExpired | OrderNotCancellable | CancellationPeriodOver>
> {
  const current = new Map(orders)
  const undo = makeUndo(held, "customer", now)
  return requests.map(({ orderId, paidWithinMs, userId }) => {
    const order = current.get(orderId)
    if (order?.userId !== userId) return Result.fail(new OrderNotFound({ orderId }))
    if (order.cancellation?.reason === "expired")
      return Result.fail(new OrderExpired({ orderId, expiredAt: order.expiresAt }))
    if (order.cancellation !== undefined) return Result.succeed({ output: order })
    if (order.status !== "PENDING" && order.status !== "PAID")
      return Result.fail(new OrderNotCancellable({ orderId, status: order.status }))
    if (order.status === "PAID") {
      const endedAt = new Date(paidAtOf(paidAt, orderId).getTime() + paidWithinMs)
      if (now > endedAt) return Result.fail(new CancellationPeriodOver({ orderId, endedAt }))
    }
    const undone = undo(order)
    current.set(orderId, undone.output)
    return Result.succeed(undone)
  })
}

const paidAtOf = (paidAt: ReadonlyMap<OrderId, Date>, orderId: OrderId): Date => {
  const at = paidAt.get(orderId)
  if (at === undefined) throw new Error(`order ${orderId} is PAID without a payment`)
  return at
}

/** An order after its cancellation. `before` is absent when it had been cancelled earlier: nothing is left to undo. */
export interface UndoneOrder {
  readonly output: Order
  readonly before?: Order
  readonly coupon?: OrderCoupon | undefined
  /** The buyer's balance after the refund of a PAID order. */
  readonly balanceAfter?: number
}

/** Decides the cancellation of locked PENDING or PAID orders, one after the other. Pure but for the running balances. */
export const makeUndo = ({ balances, coupons }: Held, reason: CancelReason, now: Date) => {
  const running = new Map(balances)
  return (before: Order): UndoneOrder => {
    const output: Order = { ...before, status: "CANCELLED", cancellation: { at: now, reason } }
    const coupon = coupons.get(before.id)
    if (before.status !== "PAID") return { output, before, coupon }
    const balanceAfter = (running.get(before.userId) ?? 0) + before.totalMinor
    running.set(before.userId, balanceAfter)
    return { output, before, coupon, balanceAfter }
  }
}

/**
 * Writes what cancelled orders give back: units, coupons, and points of PAID orders. Three guards make it happen once:
 * the guarded UPDATE of the status, the ledgers' unique keys, the primary key of refunds.
 */
export const undoOrders = Effect.fnUntraced(function* (
  undone: ReadonlyArray<UndoneOrder>,
  reason: CancelReason,
  now: Date
) {
  const orders = undone.flatMap(({ before }) => (before === undefined ? [] : [before]))
  if (orders.length === 0) return
  const cancelled = yield* updateCancelled(orders, reason, now)
  if (cancelled !== orders.length)
    return yield* Effect.die(
      new Error(`${orders.length} orders were locked, ${cancelled} could be cancelled`)
    )
  yield* failpoint("cancel: order cancelled")
  yield* releaseUnits(
    orders.map((order) => ({ orderId: order.id, lines: order.items, actorId: actorOf(order, reason) }))
  )
  yield* failpoint("cancel: stock released")
  yield* returnCoupons(undone.flatMap(({ coupon }) => (coupon === undefined ? [] : [coupon])))
  yield* failpoint("cancel: coupon returned")
  yield* refundPaid(undone, reason, now)
  yield* insertEvents(
    orders.map(({ id, items, userId }) => ({
      topic: "order.cancelled",
      payload: { orderId: id, userId, reason, skus: items.map(({ sku }) => sku) }
    }))
  )
})

/** Customers cancel their own orders; the shop's job ends overdue ones. */
const actorOf = ({ userId }: Order, reason: CancelReason) => (reason === "customer" ? userId : undefined)

const refundPaid = Effect.fnUntraced(function* (
  undone: ReadonlyArray<UndoneOrder>,
  reason: CancelReason,
  now: Date
) {
  const refunds = undone.flatMap(({ balanceAfter, before }) =>
    before === undefined || balanceAfter === undefined ? [] : [{ order: before, balanceAfter }]
  )
  if (refunds.length === 0) return
  yield* insertCredits(
    refunds.map(({ balanceAfter, order }) => ({
      userId: order.userId,
      delta: order.totalMinor,
      balanceAfter,
      kind: "refund",
      orderId: order.id,
      actorId: actorOf(order, reason)
    }))
  )
  yield* insertRefunds(
    refunds.map(({ order }) => order),
    now
  )
  yield* insertEvents(
    refunds.map(({ order: { id, totalMinor, userId } }) => ({
      topic: "order.refunded",
      payload: { orderId: id, userId, amountMinor: totalMinor }
    }))
  )
  yield* failpoint("cancel: points refunded")
})

/** Call after the commit: subscribers are notified; readers of the products see what came back. */
export const ordersUndone = (orders: ReadonlyArray<Order>) =>
  ordersChanged(orders.map(({ id }) => id)).pipe(
    Effect.andThen(productsChanged(orders.flatMap(({ items }) => items)))
  )
