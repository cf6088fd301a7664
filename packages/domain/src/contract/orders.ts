import { Schema } from "effect"
import {
  CouponAlreadyUsed,
  CouponDiscountTooLarge,
  CouponExpired,
  CouponMinimumNotMet,
  UserCouponNotFound
} from "../errors/coupons.ts"
import {
  CancellationPeriodOver,
  OrderExpired,
  OrderLimitExceeded,
  OrderNotCancellable,
  OrderNotFound
} from "../errors/orders.ts"
import { OutOfStock, ProductNotFound } from "../errors/products.ts"
import { OrderId, Sku, UserCouponId, UserId } from "../ids.ts"
import { RequestInProgress } from "../locks/errors.ts"
import { AmountMinor } from "../money.ts"
import { OrderStatus } from "../order-status.ts"
import { mutation, query, subscription } from "./procedure.ts"
import { pageInput, pageOf } from "./shared.ts"

/** What any shop's policy stays below; the shop's own, smaller limits are the server's configuration. */
export const ORDER_BOUNDS = { lines: 10_000, quantity: 1_000_000_000 } as const

export const Quantity = Schema.Int.check(
  Schema.isBetween(
    { minimum: 1, maximum: ORDER_BOUNDS.quantity },
    { message: `must be a whole number from 1 to ${ORDER_BOUNDS.quantity}` }
  )
)

export const OrderItem = Schema.Struct({ sku: Sku, quantity: Quantity, unitPriceMinor: AmountMinor })

/** `expired`: it was not paid in time. */
export const CancelReason = Schema.Literals(["customer", "expired"])
export type CancelReason = typeof CancelReason.Type

export const OrderCancellation = Schema.Struct({ at: Schema.DateFromString, reason: CancelReason })

export const Order = Schema.Struct({
  id: OrderId,
  userId: UserId,
  status: OrderStatus,
  items: Schema.Array(OrderItem),
  /** What is to be paid: the price of the lines less the discount. */
  totalMinor: AmountMinor,
  /** What the coupon takes off; 0 without one. */
  discountMinor: AmountMinor,
  /** The coupon that the order was made with; a cancelled order has given it back. */
  userCouponId: Schema.optionalKey(UserCouponId),
  createdAt: Schema.DateFromString,
  /** A PENDING order that is not paid by then gives its stock back. */
  expiresAt: Schema.DateFromString,
  /** When and why the order was cancelled; only there when it was. */
  cancellation: Schema.optionalKey(OrderCancellation)
})
export type Order = typeof Order.Type

/** What of an order changes in the course of its life: laid over the order, it brings it up to date. */
export const OrderState = Schema.Struct({
  id: Order.fields.id,
  status: Order.fields.status,
  cancellation: Order.fields.cancellation
})
export type OrderState = typeof OrderState.Type

export const orders = {
  create: mutation({
    access: "user",
    summary: "Reserves stock for the lines and makes an order to be paid. Lines of one product are merged.",
    input: Schema.Struct({
      lines: Schema.Array(Schema.Struct({ sku: Sku, quantity: Quantity })).check(
        Schema.isMinLength(1, { message: "an order needs at least one line" }),
        Schema.isMaxLength(ORDER_BOUNDS.lines, { message: `must be at most ${ORDER_BOUNDS.lines} lines` })
      ),
      /** One of the caller's coupons. An order takes one at most, and a coupon pays half of the goods at most. */
      userCouponId: Schema.optionalKey(UserCouponId)
    }),
    output: Order,
    errors: [
      RequestInProgress,
      ProductNotFound,
      OutOfStock,
      OrderLimitExceeded,
      UserCouponNotFound,
      CouponAlreadyUsed,
      CouponExpired,
      CouponMinimumNotMet,
      CouponDiscountTooLarge
    ]
  }),
  get: query({
    access: "user",
    summary: "One of the caller's orders.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Order,
    errors: [OrderNotFound]
  }),
  page: query({
    access: "user",
    summary: "A page of the caller's orders, the newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(Order),
    errors: []
  }),
  cancel: mutation({
    access: "user",
    summary:
      "Cancels one of the caller's orders: a PENDING one any time, a PAID one for a while. Stock and points go back, once.",
    input: Schema.Struct({ orderId: OrderId }),
    output: Order,
    errors: [OrderNotFound, OrderNotCancellable, OrderExpired, CancellationPeriodOver]
  }),
  watch: subscription({
    access: "user",
    summary:
      "The state of one of the caller's orders now and after every step; ends with the last one there is. An administrator may watch any order.",
    input: Schema.Struct({ orderId: OrderId }),
    output: OrderState,
    errors: [OrderNotFound]
  })
}
