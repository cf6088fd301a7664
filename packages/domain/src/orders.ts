import * as Schema from "effect/Schema"
import {
  CouponAlreadyUsed,
  CouponDiscountTooLarge,
  CouponExpired,
  CouponMinimumNotMet,
  UserCouponNotFound
} from "./coupons/errors.ts"
import { OrderId, Sku, UserCouponId, UserId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { AmountMinor } from "./kernel/money.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { mutation, query, subscription } from "./kernel/procedure.ts"
import { RequestInProgress } from "./locks/errors.ts"
import {
  CancellationPeriodOver,
  OrderExpired,
  OrderLimitExceeded,
  OrderNotCancellable,
  OrderNotFound,
  OrderTotalTooLarge,
  TooManyUnpaidOrders
} from "./order-errors.ts"
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
  /** The product's SKU. */
  sku: Sku,
  /** How many units were ordered. */
  quantity: Quantity,
  /** The price of one unit when it was ordered, in minor units. */
  unitPriceMinor: AmountMinor
}).annotate({
  identifier: "OrderItem"
})

/** Why an order was cancelled: by its customer, or because it was not paid in time (`expired`). */
export const CancelReason = Schema.Literals(["customer", "expired"])
export type CancelReason = typeof CancelReason.Type

/** When an order was cancelled, and why: by its customer, or because it was not paid in time (`expired`). */
export const OrderCancellation = Schema.Struct({
  /** When it was cancelled. */
  at: Moment,
  /** By its customer, or because it was not paid in time (`expired`). */
  reason: CancelReason
}).annotate({
  identifier: "OrderCancellation"
})

/** An order. `totalMinor` is what the customer pays: the price of the items minus `discountMinor`. */
export const Order = Schema.Struct({
  /** Identifies the order. */
  id: OrderId,
  /** Whose order it is. */
  userId: UserId,
  /** The status in its life cycle. */
  status: OrderStatus,
  /** The goods with their prices. */
  items: Schema.Array(OrderItem),
  /** What the customer pays, in minor units: the price of the items minus `discountMinor`. */
  totalMinor: AmountMinor,
  /** What the user coupon takes off; 0 without one. */
  discountMinor: AmountMinor,
  /** The user coupon of the order. A cancelled order has given it back. */
  userCouponId: Schema.optionalKey(UserCouponId),
  /** When it was ordered. */
  createdAt: Moment,
  /** When an order that is still PENDING is cancelled and returns its stock. */
  expiresAt: Moment,
  /** Present only on a cancelled order. */
  cancellation: Schema.optionalKey(OrderCancellation)
}).annotate({
  identifier: "Order"
})
export type Order = typeof Order.Type

/** The fields of an order that change during its life; spread over the order, they bring it up to date. */
export const OrderState = Schema.Struct({
  /** Identifies the order. */
  id: Order.fields.id,
  /** The order's status now. */
  status: Order.fields.status,
  /** Present only on a cancelled order. */
  cancellation: Order.fields.cancellation
}).annotate({ identifier: "OrderState" })
export type OrderState = typeof OrderState.Type

/** The procedures of the group `orders`. */
export const orders = {
  /** Reserves stock for the lines and creates a PENDING order. Lines of the same product are merged. */
  create: mutation({
    access: "user",
    maximumBytes: 1024 * 1024,
    input: Schema.Struct({
      /** The goods: units of products. Lines of the same product are merged. */
      lines: Schema.Array(
        Schema.Struct({
          /** The product. */
          sku: Sku,
          /** How many units of it. */
          quantity: Quantity
        })
      ).check(
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
  /** Returns one of the caller's orders. */
  get: query({
    access: "user",
    input: Schema.Struct({
      /** The order. */
      orderId: OrderId
    }),
    output: Order,
    errors: [OrderNotFound]
  }),
  /** Returns a page of the caller's orders, newest first. */
  page: query({
    access: "user",
    input: Schema.Struct(pageInput),
    output: pageOf(Order),
    errors: []
  }),
  /**
   * Cancels one of the caller's orders: a PENDING order at any time, a PAID order for a limited time. Stock, points and
   * the user coupon are returned exactly once.
   */
  cancel: mutation({
    access: "user",
    input: Schema.Struct({
      /** The order. */
      orderId: OrderId
    }),
    output: Order,
    errors: [OrderNotFound, OrderNotCancellable, OrderExpired, CancellationPeriodOver]
  }),
  /**
   * Emits the state of one of the caller's orders now and after every status change, and ends with the final one. An
   * administrator may watch any order.
   */
  watch: subscription({
    access: "user",
    input: Schema.Struct({
      /** The order. */
      orderId: OrderId
    }),
    output: OrderState,
    errors: [OrderNotFound]
  })
}
