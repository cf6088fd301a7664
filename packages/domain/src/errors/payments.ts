import { Schema } from "effect"

/** The caller's order has not been paid. */
export class PaymentNotFound extends Schema.TaggedError<PaymentNotFound>()("PaymentNotFound", {
  orderId: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `order ${this.orderId} has no payment`
  }
}
