import {
  AmountMinor,
  contract,
  OrderExpired,
  type OrderId,
  OrderNotFound,
  OrderNotPayable,
  type Payment,
  PaymentNotFound,
  PaymentProcessLock,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { withIdempotency, orAnsweredBefore } from "../../platform/idempotency/idempotency.ts"
import { newPaymentId } from "../../platform/db/ids.ts"
import { insertOutbox } from "../../platform/outbox/outbox.ts"
import { failpoint } from "../../platform/failpoints.ts"
import { withLock } from "@holdfast/locks"
import type { Call } from "../../platform/trpc/adapter.ts"
import { mapLockErrors } from "../../platform/trpc/lock-errors.ts"
import { advanceOrder, announceStep, findOwnOrder, lockOwnOrder } from "../orders/service.ts"
import { debitForOrder, forgetBalance } from "../points/service.ts"
import { findPayment, insertPayment, paymentInTransaction } from "./repository.ts"

export const processPayment = Effect.fn("processPayment")(function* (
  call: Call<typeof contract.payments.process>
) {
  const { caller, input, request } = call
  const mutation = { procedure: contract.payments.process, userId: caller.userId, request, input }
  return yield* withIdempotency(mutation, payOrder(caller.userId, input.orderId)).pipe(
    Effect.tap(() => failpoint("payment: committed")),
    withLock(PaymentProcessLock, input.orderId),
    orAnsweredBefore(mutation),
    mapLockErrors,
    Effect.tap(() => announceStep(input.orderId)),
    Effect.tap(() => forgetBalance(caller.userId))
  )
})

export const getPayment = Effect.fn("getPayment")(function* ({
  caller,
  input
}: Call<typeof contract.payments.get>) {
  const { orderId } = input
  const payment = yield* findPayment(caller.userId, orderId)
  if (payment !== undefined) return payment
  const order = yield* findOwnOrder(caller.userId, orderId)
  return yield* order === undefined ? new OrderNotFound({ orderId }) : new PaymentNotFound({ orderId })
})

/** The order's row lock serialises everybody who pays it; the second one finds it paid and gets the same payment. */
const payOrder = Effect.fnUntraced(function* (userId: UserId, orderId: OrderId) {
  const order = yield* lockOwnOrder(userId, orderId)
  // The payment's row and the order's status are written together: a PENDING order has none.
  const earlier = order.status === "PENDING" ? undefined : yield* paymentInTransaction(orderId)
  if (earlier !== undefined && order.status !== "CANCELLED") return earlier
  if (order.cancel_reason === "expired") {
    return yield* new OrderExpired({ orderId, expiredAt: order.expires_at })
  }
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
  yield* failpoint("payment: points debited")
  yield* insertPayment(payment, userId)
  yield* failpoint("payment: payment inserted")
  yield* advanceOrder(orderId, "PENDING", "PAID")
  yield* failpoint("payment: order paid")
  yield* insertOutbox("order.paid", {
    orderId,
    userId,
    paymentId: payment.id,
    amountMinor: payment.amountMinor
  })
  yield* failpoint("payment: event written")
  return payment
})
