import {
  type CancelReason,
  CancellationPeriodOver,
  contract,
  type Order,
  OrderExpired,
  type OrderId,
  OrderNotCancellable,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { ServerConfig } from "../../config.ts"
import { withIdempotency } from "../../platform/idempotency/idempotency.ts"
import { insertOutbox } from "../../platform/outbox/outbox.ts"
import { failpoint } from "../../platform/failpoints.ts"
import type { Call } from "../../platform/trpc/adapter.ts"
import { productsChanged, releaseStock } from "../catalog/service.ts"
import { returnCouponOfOrder } from "../coupons/service.ts"
import { creditForOrder, forgetBalance } from "../points/service.ts"
import { insertRefund, itemsInTransaction, orderOf, paidAtOf, updateCancelled } from "./repository.ts"
import { announceStep, lockOwnOrder } from "./service.ts"

export const cancelOrder = Effect.fn("cancelOrder")(function* (call: Call<typeof contract.orders.cancel>) {
  const { caller, input, request } = call
  return yield* withIdempotency(
    { procedure: contract.orders.cancel, userId: caller.userId, request, input },
    cancelOwn(caller.userId, input.orderId)
  ).pipe(Effect.tap(orderUndone))
})

/** The order's row lock comes first: a payment, the expiry or another cancellation waits there and finds the outcome. */
const cancelOwn = Effect.fnUntraced(function* (userId: UserId, orderId: OrderId) {
  const row = yield* lockOwnOrder(userId, orderId)
  const order = orderOf(row, yield* itemsInTransaction(orderId))
  if (order.cancellation?.reason === "expired") {
    return yield* new OrderExpired({ orderId, expiredAt: order.expiresAt })
  }
  if (order.cancellation !== undefined) return order
  if (order.status === "PAID") yield* checkPeriod(orderId)
  else if (order.status !== "PENDING") {
    return yield* new OrderNotCancellable({ orderId, status: order.status })
  }
  return yield* undoOrder(order, "customer")
})

/** After the commit: whoever looks at the products, or at the balance, sees what came back, and who watches is told. */
export const orderUndone = (order: Order) =>
  announceStep(order.id).pipe(
    Effect.andThen(productsChanged(order.items)),
    Effect.andThen(forgetBalance(order.userId))
  )

const checkPeriod = Effect.fnUntraced(function* (orderId: OrderId) {
  const { cancellation: policy } = yield* ServerConfig
  const paidAt = yield* paidAtOf(orderId)
  if (paidAt === undefined) return yield* Effect.die(new Error(`order ${orderId} is PAID without a payment`))
  const endedAt = new Date(paidAt.getTime() + policy.paidWithinMs)
  if ((yield* Clock.currentTimeMillis) > endedAt.getTime()) {
    return yield* new CancellationPeriodOver({ orderId, endedAt })
  }
})

/**
 * Takes back all that a locked PENDING or PAID order did: its units, its coupon, and its points when it was paid. What guards
 * "once" is the guarded UPDATE of the status, the ledgers' unique keys and the refund's primary key.
 */
export const undoOrder = Effect.fnUntraced(function* (order: Order, reason: CancelReason) {
  const at = new Date(yield* Clock.currentTimeMillis)
  const isOurs = yield* updateCancelled(order.id, order.status, reason, at)
  if (!isOurs) return yield* Effect.die(new Error(`order ${order.id} was not ${order.status} under its lock`))
  yield* failpoint("cancel: order cancelled")
  yield* releaseStock(order.id, order.items)
  yield* failpoint("cancel: stock released")
  yield* returnCouponOfOrder(order.id)
  yield* failpoint("cancel: coupon returned")
  if (order.status === "PAID") yield* refund(order, at)
  yield* insertOutbox("order.cancelled", {
    orderId: order.id,
    userId: order.userId,
    reason,
    skus: order.items.map(({ sku }) => sku)
  })
  const cancelled: Order = { ...order, status: "CANCELLED", cancellation: { at, reason } }
  return cancelled
})

const refund = Effect.fnUntraced(function* (order: Order, at: Date) {
  yield* creditForOrder(order.userId, order.id, order.totalMinor)
  yield* insertRefund(order, at)
  yield* insertOutbox("order.refunded", {
    orderId: order.id,
    userId: order.userId,
    amountMinor: order.totalMinor
  })
  yield* failpoint("cancel: points refunded")
})
