import * as Schema from "effect/Schema"
import {
  CouponAlreadyUsed,
  CouponDiscountTooLarge,
  CouponExpired,
  CouponMinimumNotMet,
  UserCouponNotFound
} from "./coupons/errors.ts"
import { domainError } from "./kernel/error.ts"
import { OrderId, Sku, UserCouponId, UserId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { AmountMinor } from "./kernel/money.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { mutation, query, subscription } from "./kernel/procedure.ts"
import { RequestInProgress } from "./locks/errors.ts"
import { OutOfStock, ProductNotFound } from "./products.ts"

/** The status of an order in its life cycle. */
export const OrderStatus = Schema.Literals([
  "PENDING",
  "PAID",
  "SHIPPED",
  "DELIVERED",
  "COMPLETED",
  "CANCELLED"
])
export type OrderStatus = typeof OrderStatus.Type

/** Every status change that an order may make. */
export const orderTransitions: { readonly [From in OrderStatus]: ReadonlyArray<OrderStatus> } = {
  PENDING: ["PAID", "CANCELLED"],
  PAID: ["SHIPPED", "CANCELLED"],
  SHIPPED: ["DELIVERED"],
  DELIVERED: ["COMPLETED"],
  COMPLETED: [],
  CANCELLED: []
}

/** Whether an order may change directly from one status to the other. */
export const canBecome = (from: OrderStatus, to: OrderStatus): boolean => orderTransitions[from].includes(to)

/** Whether an order keeps this status for good. */
export const isFinal = (status: OrderStatus): boolean => orderTransitions[status].length === 0

/** A number that rises with every status change, so that of two states of an order the newer one can be told. */
export const stageOf = (status: OrderStatus): number => OrderStatus.literals.indexOf(status)

/** The upper bounds of any shop's policy. The server's configuration sets the shop's own, lower limits. */
export const ORDER_BOUNDS = { lines: 10_000, quantity: 1_000_000_000 } as const

/** A number of units of one product in an order. */
export const Quantity = Schema.Int.check(
  Schema.isBetween(
    { minimum: 1, maximum: ORDER_BOUNDS.quantity },
    { message: `must be a whole number from 1 to ${ORDER_BOUNDS.quantity}` }
  )
)

/** What a caller orders: units of one product. */
export interface OrderLine {
  readonly sku: Sku
  readonly quantity: number
}

/**
 * Returns the canonical form of an order's lines: one line per product, sorted by the UTF-16 code units of the SKU.
 * Requests for the same goods have the same canonical lines, however they are ordered or split.
 */
export const mergeLines = (lines: ReadonlyArray<OrderLine>): ReadonlyArray<OrderLine> => {
  const quantities = new Map<Sku, number>()
  for (const { quantity, sku } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity)
  return [...quantities]
    .map(([sku, quantity]) => ({ sku, quantity }))
    .toSorted((a, b) => (a.sku < b.sku ? -1 : a.sku > b.sku ? 1 : 0))
}

/** Returns the canonical lines as `sku:quantity` joined by commas: the last part of an order's lock key. */
export const itemKeys = (lines: ReadonlyArray<OrderLine>): string =>
  mergeLines(lines)
    .map(({ quantity, sku }) => `${sku}:${quantity}`)
    .join(",")

/** Units of one product at the price that the order recorded. */
export const OrderItem = Schema.Struct({
  sku: Sku,
  quantity: Quantity,
  unitPriceMinor: AmountMinor
}).annotate({
  identifier: "OrderItem",
  description: "Units of one product at the price that the order recorded."
})

/** Why an order was cancelled: by its customer, or because it was not paid in time (`expired`). */
export const CancelReason = Schema.Literals(["customer", "expired"])
export type CancelReason = typeof CancelReason.Type

/** When and why an order was cancelled. */
export const OrderCancellation = Schema.Struct({ at: Moment, reason: CancelReason }).annotate({
  identifier: "OrderCancellation",
  description:
    "When an order was cancelled, and why: by its customer, or because it was not paid in time (`expired`)."
})

/** An order. `totalMinor` is what the customer pays: the price of the items minus `discountMinor`. */
export const Order = Schema.Struct({
  id: OrderId,
  userId: UserId,
  status: OrderStatus,
  items: Schema.Array(OrderItem),
  totalMinor: AmountMinor,
  /** What the user coupon takes off; 0 without one. */
  discountMinor: AmountMinor,
  /** The user coupon of the order. A cancelled order has given it back. */
  userCouponId: Schema.optionalKey(UserCouponId),
  createdAt: Moment,
  /** When an order that is still PENDING is cancelled and returns its stock. */
  expiresAt: Moment,
  /** Present only on a cancelled order. */
  cancellation: Schema.optionalKey(OrderCancellation)
}).annotate({
  identifier: "Order",
  description:
    "An order. `totalMinor` is what the customer pays: the price of the items minus `discountMinor`."
})
export type Order = typeof Order.Type

/** The fields of an order that change during its life; spread over the order, they bring it up to date. */
export const OrderState = Schema.Struct({
  id: Order.fields.id,
  status: Order.fields.status,
  cancellation: Order.fields.cancellation
}).annotate({ identifier: "OrderState", description: "The fields of an order that change during its life." })
export type OrderState = typeof OrderState.Type

/** The caller has no order with this id. Another user's order gives the same answer, so that its existence stays hidden. */
export class OrderNotFound extends domainError<OrderNotFound>()(
  "OrderNotFound",
  { orderId: Schema.String },
  { code: "NOT_FOUND", message: ({ orderId }) => `there is no order ${orderId}` }
) {}

/** The order exceeds the shop's policy: too many lines, or too many units of one product. */
export class OrderLimitExceeded extends domainError<OrderLimitExceeded>()(
  "OrderLimitExceeded",
  {
    limit: Schema.Literals(["lines", "quantity"]),
    sku: Schema.optionalKey(Schema.String),
    requested: Schema.Int,
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
    limit: Schema.Literals(["orders", "units"]),
    /** What the caller has not paid yet. */
    unpaid: Schema.Int,
    /** What the order would add. */
    requested: Schema.Int,
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
  { orderId: Schema.String, status: Schema.String },
  { code: "CONFLICT", message: ({ orderId, status }) => `order ${orderId} is ${status} and cannot be paid` }
) {}

/** The order was not paid in time. Its stock returns to the catalogue. */
export class OrderExpired extends domainError<OrderExpired>()(
  "OrderExpired",
  { orderId: Schema.String, expiredAt: Moment },
  {
    code: "PRECONDITION_FAILED",
    message: ({ expiredAt, orderId }) => `order ${orderId} expired at ${expiredAt.toISOString()}`
  }
) {}

/** An order with this status cannot be cancelled. */
export class OrderNotCancellable extends domainError<OrderNotCancellable>()(
  "OrderNotCancellable",
  { orderId: Schema.String, status: Schema.String },
  {
    code: "CONFLICT",
    message: ({ orderId, status }) => `order ${orderId} is ${status} and cannot be cancelled`
  }
) {}

/** The order was paid too long ago to be cancelled. Nothing was refunded. */
export class CancellationPeriodOver extends domainError<CancellationPeriodOver>()(
  "CancellationPeriodOver",
  { orderId: Schema.String, endedAt: Moment },
  {
    code: "PRECONDITION_FAILED",
    message: ({ endedAt, orderId }) => `order ${orderId} could be cancelled until ${endedAt.toISOString()}`
  }
) {}

/** The procedures of the group `orders`. */
export const orders = {
  create: mutation({
    access: "user",
    maximumBytes: 1024 * 1024,
    summary:
      "Reserves stock for the lines and creates a PENDING order. Lines of the same product are merged.",
    input: Schema.Struct({
      lines: Schema.Array(Schema.Struct({ sku: Sku, quantity: Quantity })).check(
        Schema.isMinLength(1, { message: "an order needs at least one line" }),
        Schema.isMaxLength(ORDER_BOUNDS.lines, { message: `must be at most ${ORDER_BOUNDS.lines} lines` })
      ),
      /** One of the caller's unused user coupons. It pays at most half of the goods. */
      userCouponId: Schema.optionalKey(UserCouponId)
    }),
    output: Order,
    errors: [
      RequestInProgress,
      ProductNotFound,
      OutOfStock,
      OrderLimitExceeded,
      TooManyUnpaidOrders,
      OrderTotalTooLarge,
      UserCouponNotFound,
      CouponAlreadyUsed,
      CouponExpired,
      CouponMinimumNotMet,
      CouponDiscountTooLarge
    ]
  }),
  get: query({
    access: "user",
    summary: "Returns one of the caller's orders.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Order,
    errors: [OrderNotFound]
  }),
  page: query({
    access: "user",
    summary: "Returns a page of the caller's orders, newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(Order),
    errors: []
  }),
  cancel: mutation({
    access: "user",
    summary:
      "Cancels one of the caller's orders: a PENDING order at any time, a PAID order for a limited time. Stock, points and the user coupon are returned exactly once.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Order,
    errors: [OrderNotFound, OrderNotCancellable, OrderExpired, CancellationPeriodOver]
  }),
  watch: subscription({
    access: "user",
    summary:
      "Emits the state of one of the caller's orders now and after every status change, and ends with the final one. An administrator may watch any order.",
    input: Schema.Struct({ orderId: OrderId }),
    output: OrderState,
    errors: [OrderNotFound]
  })
}
