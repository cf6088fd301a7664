import * as Schema from "effect/Schema"
import { domainError } from "./kernel/error.ts"
import { OrderId, PaymentId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { AmountMinor } from "./kernel/money.ts"
import { mutation, query } from "./kernel/procedure.ts"
import { RequestInProgress } from "./locks/errors.ts"
import { OrderExpired, OrderNotFound, OrderNotPayable } from "./order-errors.ts"
import { InsufficientPoints } from "./points.ts"

/** The one payment of an order, made with points. */
export const Payment = Schema.Struct({
  /** Identifies the payment. */
  id: PaymentId,
  /** The order that it pays. */
  orderId: OrderId,
  /** How much was paid, in minor units. */
  amountMinor: AmountMinor,
  /** When it was paid. */
  createdAt: Moment,
  /** When the whole amount was refunded; present only if the order was cancelled. */
  refundedAt: Schema.optionalKey(Moment)
}).annotate({ identifier: "Payment" })
export type Payment = typeof Payment.Type

/** The caller's order has not been paid. */
export class PaymentNotFound extends domainError<PaymentNotFound>()(
  "PaymentNotFound",
  {
    /** The order that has no payment. */
    orderId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ orderId }) => `order ${orderId} has no payment` }
) {}

/** The procedures of the group `payments`. */
export const payments = {
  /**
   * Pays one of the caller's orders with points. An order is paid once; a repeated call returns the existing payment.
   */
  process: mutation({
    access: "user",
    input: Schema.Struct({
      /** The order. */
      orderId: OrderId
    }),
    output: Payment,
    errors: [OrderNotFound, OrderNotPayable, OrderExpired, InsufficientPoints, RequestInProgress]
  }),
  /** Returns the payment of one of the caller's orders. */
  get: query({
    access: "user",
    input: Schema.Struct({
      /** The order. */
      orderId: OrderId
    }),
    output: Payment,
    errors: [OrderNotFound, PaymentNotFound]
  })
}
