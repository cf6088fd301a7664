import {
  canBecome,
  contract,
  mergeLines,
  multiplyMinor,
  type Order,
  OrderId,
  type OrderLine,
  OrderLimitExceeded,
  OrderNotFound,
  type OrderStatus,
  PAGE_SIZE,
  sumMinor,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect, Schema } from "effect"
import { ServerConfig } from "../../config/ServerConfig.ts"
import { makeCursor, toPage } from "../../db/cursor.ts"
import { exactlyOnce } from "../../db/exactlyOnce.ts"
import { newOrderId } from "../../db/ids.ts"
import type { Call } from "../../rpc/implement.ts"
import { reserveStock } from "../catalog/service.ts"
import { findOrder, insertOrder, insertOrderItems, listOrders, lockOrder, updateStatus } from "./queries.ts"

export const createOrder = Effect.fn("createOrder")(function* (call: Call<typeof contract.orders.create>) {
  const { caller, input, request } = call
  const lines = mergeLines(input.lines)
  yield* checkPolicy(lines)
  return yield* exactlyOnce(
    { procedure: contract.orders.create, userId: caller.userId, request, input },
    placeOrder(caller.userId, lines)
  )
})

/** The shop's limits hold for merged lines: a product on two lines counts once, with both quantities. */
const checkPolicy = Effect.fnUntraced(function* (lines: ReadonlyArray<OrderLine>) {
  const { orders: policy } = yield* ServerConfig
  if (lines.length > policy.maximumLines) {
    return yield* new OrderLimitExceeded({
      limit: "lines",
      requested: lines.length,
      maximum: policy.maximumLines
    })
  }
  const tooMany = lines.find(({ quantity }) => quantity > policy.maximumQuantity)
  if (tooMany === undefined) return
  return yield* new OrderLimitExceeded({
    limit: "quantity",
    sku: tooMany.sku,
    requested: tooMany.quantity,
    maximum: policy.maximumQuantity
  })
})

/** The locking read of the products comes first: everything after it sees the stock as it is, not as it was. */
const placeOrder = Effect.fnUntraced(function* (userId: UserId, lines: ReadonlyArray<OrderLine>) {
  const { orders: policy } = yield* ServerConfig
  const orderId = newOrderId()
  const items = yield* reserveStock(orderId, lines)
  const now = yield* Clock.currentTimeMillis
  const order: Order = {
    id: orderId,
    userId,
    status: "PENDING",
    items,
    totalMinor: sumMinor(
      items.map(({ quantity, unitPriceMinor }) => multiplyMinor(unitPriceMinor, quantity))
    ),
    createdAt: new Date(now),
    expiresAt: new Date(now + policy.expiresAfterMs)
  }
  yield* insertOrder(order)
  yield* insertOrderItems(order)
  return order
})

export const getOrder = Effect.fn("getOrder")(function* ({
  caller,
  input
}: Call<typeof contract.orders.get>) {
  const order = yield* findOrder(caller.userId, input.orderId)
  if (order === undefined) return yield* new OrderNotFound({ orderId: input.orderId })
  return order
})

const cursor = makeCursor(Schema.Struct({ orderId: OrderId }))

export const orderPage = Effect.fn("orderPage")(function* ({
  caller,
  input
}: Call<typeof contract.orders.page>) {
  const before = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).orderId
  const limit = input.limit ?? PAGE_SIZE.default
  const found = yield* listOrders(caller.userId, before, limit + 1)
  return toPage(found, limit, ({ id }) => cursor.encode({ orderId: id }))
})

/** Locks an order of this user for the rest of the transaction. */
export const lockOwnOrder = Effect.fnUntraced(function* (userId: UserId, orderId: OrderId) {
  const order = yield* lockOrder(userId, orderId)
  if (order === undefined) return yield* new OrderNotFound({ orderId })
  return order
})

/** Takes a locked order one step further; a step that the table of states does not have is a bug. */
export const advanceOrder = Effect.fnUntraced(function* (
  orderId: OrderId,
  from: OrderStatus,
  to: OrderStatus
) {
  const isAdvanced = canBecome(from, to) && (yield* updateStatus(orderId, from, to))
  if (!isAdvanced) return yield* Effect.die(new Error(`order ${orderId} cannot go from ${from} to ${to}`))
})
