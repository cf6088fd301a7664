import { Schema } from "effect"

/** The caller has no order with this id. Another user's order answers the same, so nobody learns that it exists. */
export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", {
  orderId: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `there is no order ${this.orderId}`
  }
}

/** The order is beyond what the shop's policy allows: too many lines, or too many units on one. */
export class OrderLimitExceeded extends Schema.TaggedError<OrderLimitExceeded>()("OrderLimitExceeded", {
  limit: Schema.Literals(["lines", "quantity"]),
  sku: Schema.optionalKey(Schema.String),
  requested: Schema.Int,
  maximum: Schema.Int
}) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return this.limit === "lines"
      ? `${this.requested} lines; an order has at most ${this.maximum}`
      : `${this.requested} units of ${this.sku}; an order takes at most ${this.maximum} of one product`
  }
}

/** The order's state does not allow to pay it. */
export class OrderNotPayable extends Schema.TaggedError<OrderNotPayable>()("OrderNotPayable", {
  orderId: Schema.String,
  status: Schema.String
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `order ${this.orderId} is ${this.status} and cannot be paid`
  }
}

/** The order was not paid in time; its stock goes back to the shelf. */
export class OrderExpired extends Schema.TaggedError<OrderExpired>()("OrderExpired", {
  orderId: Schema.String,
  expiredAt: Schema.DateFromString
}) {
  static readonly code = "PRECONDITION_FAILED"
  readonly retryable = false
  override get message() {
    return `order ${this.orderId} expired at ${this.expiredAt.toISOString()}`
  }
}

/** The order's state does not allow to cancel it. */
export class OrderNotCancellable extends Schema.TaggedError<OrderNotCancellable>()("OrderNotCancellable", {
  orderId: Schema.String,
  status: Schema.String
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `order ${this.orderId} is ${this.status} and cannot be cancelled`
  }
}

/** The order was paid too long ago to be cancelled; nothing was refunded. */
export class CancellationPeriodOver extends Schema.TaggedError<CancellationPeriodOver>()(
  "CancellationPeriodOver",
  {
    orderId: Schema.String,
    /** Until when the order could be cancelled. */
    endedAt: Schema.DateFromString
  }
) {
  static readonly code = "PRECONDITION_FAILED"
  readonly retryable = false
  override get message() {
    return `order ${this.orderId} could be cancelled until ${this.endedAt.toISOString()}`
  }
}
