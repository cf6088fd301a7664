import {
  AmountMinor,
  contract,
  OrderExpired,
  type OrderId,
  OrderNotPayable,
  type Payment,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { exactlyOnce } from "../../db/exactlyOnce.ts"
import { newPaymentId } from "../../db/ids.ts"
import { insertOutbox } from "../../db/outbox.ts"
import type { Call } from "../../rpc/implement.ts"
import { advanceOrder, lockOwnOrder } from "../orders/service.ts"
import { debitForOrder } from "../points/service.ts"
import { findPayment, insertPayment } from "./queries.ts"

export const processPayment = Effect.fn("processPayment")(function* (
  call: Call<typeof contract.payments.process>
) {
  const { caller, input, request } = call
  return yield* exactlyOnce(
    { procedure: contract.payments.process, userId: caller.userId, request, input },
    payOrder(caller.userId, input.orderId)
  )
})

/** The order's row lock serialises everybody who pays it; the second one finds it paid and gets the same payment. */
const payOrder = Effect.fnUntraced(function* (userId: UserId, orderId: OrderId) {
  const order = yield* lockOwnOrder(userId, orderId)
  const earlier = yield* findPayment(orderId)
  if (earlier !== undefined) return earlier
  if (order.status !== "PENDING") return yield* new OrderNotPayable({ orderId, status: order.status })
  const now = new Date(yield* Clock.currentTimeMillis)
  if (order.expires_at <= now) return yield* new OrderExpired({ orderId, expiredAt: order.expires_at })
  const payment: Payment = {
    id: newPaymentId(),
    orderId,
    amountMinor: AmountMinor.make(order.total_minor),
    createdAt: now
  }
  yield* debitForOrder(userId, orderId, payment.amountMinor)
  yield* insertPayment(payment, userId)
  yield* advanceOrder(orderId, "PENDING", "PAID")
  yield* insertOutbox("order.paid", {
    orderId,
    userId,
    paymentId: payment.id,
    amountMinor: payment.amountMinor
  })
  return payment
})
