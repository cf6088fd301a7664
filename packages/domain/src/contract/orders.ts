import { Schema } from "effect"
import { OrderLimitExceeded, OrderNotFound } from "../errors/orders.ts"
import { OutOfStock, ProductNotFound } from "../errors/products.ts"
import { OrderId, Sku, UserId } from "../ids.ts"
import { AmountMinor } from "../money.ts"
import { OrderStatus } from "../orderStatus.ts"
import { mutation, query } from "./procedure.ts"
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

export const Order = Schema.Struct({
  id: OrderId,
  userId: UserId,
  status: OrderStatus,
  items: Schema.Array(OrderItem),
  totalMinor: AmountMinor,
  createdAt: Schema.DateFromString,
  /** A PENDING order that is not paid by then gives its stock back. */
  expiresAt: Schema.DateFromString
})
export type Order = typeof Order.Type

export const orders = {
  create: mutation({
    access: "user",
    summary: "Reserves stock for the lines and makes an order to be paid. Lines of one product are merged.",
    input: Schema.Struct({
      lines: Schema.Array(Schema.Struct({ sku: Sku, quantity: Quantity })).check(
        Schema.isMinLength(1, { message: "an order needs at least one line" }),
        Schema.isMaxLength(ORDER_BOUNDS.lines, { message: `must be at most ${ORDER_BOUNDS.lines} lines` })
      )
    }),
    output: Order,
    errors: [ProductNotFound, OutOfStock, OrderLimitExceeded]
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
  })
}
