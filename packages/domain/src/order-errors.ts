import * as Schema from "effect/Schema"
import { domainError } from "./kernel/error.ts"
import { Moment } from "./kernel/moment.ts"

/** The caller has no order with this id. Another user's order gives the same answer, so that its existence stays hidden. */
export class OrderNotFound extends domainError<OrderNotFound>()(
  "OrderNotFound",
  {
    /** The id that was asked for. */
    orderId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ orderId }) => `there is no order ${orderId}` }
) {}

/** The order exceeds the shop's policy: too many lines, or too many units of one product. */
export class OrderLimitExceeded extends domainError<OrderLimitExceeded>()(
  "OrderLimitExceeded",
  {
    /** Whether there are too many lines, or too many units of one product. */
    limit: Schema.Literals(["lines", "quantity"]),
    /** The product, if there are too many units of it. */
    sku: Schema.optionalKey(Schema.String),
    /** How many were asked for. */
    requested: Schema.Int,
    /** How many an order may have. */
    maximum: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ limit, maximum, requested, sku }) =>
      limit === "lines"
        ? `${requested} lines; an order has at most ${maximum}`
        : `${requested} units of ${sku}; an order takes at most ${maximum} of one product`
  }
) {}

/**
 * The caller's unpaid orders, or the units in them, would be more than the shop holds for one user. Nothing was ordered.
 * Each one that is paid, cancelled or expired makes room.
 */
export class TooManyUnpaidOrders extends domainError<TooManyUnpaidOrders>()(
  "TooManyUnpaidOrders",
  {
    /** Whether the orders or the units in them are too many. */
    limit: Schema.Literals(["orders", "units"]),
    /** What the caller has not paid yet. */
    unpaid: Schema.Int,
    /** What the order would add. */
    requested: Schema.Int,
    /** The most that one user may have unpaid. */
    maximum: Schema.Int
  },
  {
    code: "CONFLICT",
    message: ({ limit, maximum, requested, unpaid }) =>
      `${unpaid} ${limit} are not paid yet, and ${requested} more would exceed ${maximum}`
  }
) {}

/** The goods of the order cost more than {@link AmountMinor} can express. Nothing was ordered. */
export class OrderTotalTooLarge extends domainError<OrderTotalTooLarge>()(
  "OrderTotalTooLarge",
  {
    /** The line with which the price is beyond the maximum. */
    sku: Schema.String,
    /** The most that an order may cost, in minor units. */
    maximumMinor: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ maximumMinor, sku }) => `with ${sku} the order costs more than ${maximumMinor} minor units`
  }
) {}

/** An order with this status cannot be paid. */
export class OrderNotPayable extends domainError<OrderNotPayable>()(
  "OrderNotPayable",
  {
    /** The order. */
    orderId: Schema.String,
    /** The order's status now. */
    status: Schema.String
  },
  { code: "CONFLICT", message: ({ orderId, status }) => `order ${orderId} is ${status} and cannot be paid` }
) {}

/** The order was not paid in time. Its stock returns to the catalogue. */
export class OrderExpired extends domainError<OrderExpired>()(
  "OrderExpired",
  {
    /** The order. */
    orderId: Schema.String,
    /** Until when it could be paid. */
    expiredAt: Moment
  },
  {
    code: "PRECONDITION_FAILED",
    message: ({ expiredAt, orderId }) => `order ${orderId} expired at ${expiredAt.toISOString()}`
  }
) {}

/** An order with this status cannot be cancelled. */
export class OrderNotCancellable extends domainError<OrderNotCancellable>()(
  "OrderNotCancellable",
  {
    /** The order. */
    orderId: Schema.String,
    /** The order's status now. */
    status: Schema.String
  },
  {
    code: "CONFLICT",
    message: ({ orderId, status }) => `order ${orderId} is ${status} and cannot be cancelled`
  }
) {}

/** The order was paid too long ago to be cancelled. Nothing was refunded. */
export class CancellationPeriodOver extends domainError<CancellationPeriodOver>()(
  "CancellationPeriodOver",
  {
    /** The order. */
    orderId: Schema.String,
    /** Until when it could be cancelled. */
    endedAt: Moment
  },
  {
    code: "PRECONDITION_FAILED",
    message: ({ endedAt, orderId }) => `order ${orderId} could be cancelled until ${endedAt.toISOString()}`
  }
) {}
