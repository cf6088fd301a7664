import * as Schema from "effect/Schema"
import { domainError } from "./kernel/error.ts"
import { OrderId, PaymentId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { AmountMinor } from "./kernel/money.ts"
import { mutation, query } from "./kernel/procedure.ts"
import { RequestInProgress } from "./locks/errors.ts"
import { OrderExpired, OrderNotFound, OrderNotPayable } from "./orders.ts"
import { InsufficientPoints } from "./points.ts"

/** The one payment of an order, made with points. */
export const Payment = Schema.Struct({
  id: PaymentId,
  orderId: OrderId,
  amountMinor: AmountMinor,
  createdAt: Moment,
  /** When the whole amount was refunded; present only if the order was cancelled. */
  refundedAt: Schema.optionalKey(Moment)
}).annotate({ identifier: "Payment", description: "The one payment of an order, made with points." })
export type Payment = typeof Payment.Type

/** The caller's order has not been paid. */
export class PaymentNotFound extends domainError<PaymentNotFound>()(
  "PaymentNotFound",
  { orderId: Schema.String },
  { code: "NOT_FOUND", message: ({ orderId }) => `order ${orderId} has no payment` }
) {}

/** The procedures of the group `payments`. */
export const payments = {
  process: mutation({
    access: "user",
    summary:
      "Pays one of the caller's orders with points. An order is paid once; a repeated call returns the existing payment.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Payment,
    errors: [OrderNotFound, OrderNotPayable, OrderExpired, InsufficientPoints, RequestInProgress]
  }),
  get: query({
    access: "user",
    summary: "Returns the payment of one of the caller's orders.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Payment,
    errors: [OrderNotFound, PaymentNotFound]
  })
}
