import { Schema } from "effect"
import { OrderExpired, OrderNotFound, OrderNotPayable } from "../errors/orders.ts"
import { PaymentNotFound } from "../errors/payments.ts"
import { InsufficientPoints } from "../errors/points.ts"
import { OrderId, PaymentId } from "../ids.ts"
import { RequestInProgress } from "../locks/errors.ts"
import { AmountMinor } from "../money.ts"
import { mutation, query } from "./procedure.ts"

export const Payment = Schema.Struct({
  id: PaymentId,
  orderId: OrderId,
  amountMinor: AmountMinor,
  createdAt: Schema.DateFromString,
  /** When the whole amount went back to the account; only there when the order was cancelled. */
  refundedAt: Schema.optionalKey(Schema.DateFromString)
})
export type Payment = typeof Payment.Type

export const payments = {
  process: mutation({
    access: "user",
    summary:
      "Pays one of the caller's orders with points. An order is paid once: asked again, the answer is its one payment.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Payment,
    errors: [OrderNotFound, OrderNotPayable, OrderExpired, InsufficientPoints, RequestInProgress]
  }),
  get: query({
    access: "user",
    summary: "The payment of one of the caller's orders.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Payment,
    errors: [OrderNotFound, PaymentNotFound]
  })
}
