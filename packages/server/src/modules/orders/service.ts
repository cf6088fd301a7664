import { contract, isFinal, type Order, OrderId, OrderNotFound, type OrderStatus } from "@holdfast/domain"
import { Effect, Schema, Stream } from "effect"
import { makePages } from "../../platform/db/pagination.ts"
import { query, subscription } from "../../platform/trpc/handler.ts"
import { LiveOrders } from "./live-orders.ts"
import { existingOrders, findOrder, listOrders, type OwnOrderId, updateStatus } from "./repository.ts"

export { findOrder, lockOrdersWithoutItems as lockOrders, type OwnOrderId } from "./repository.ts"

export const getOrder = query(
  contract.orders.get,
  Effect.fnUntraced(function* ({ caller, input }) {
    const order = yield* findOrder(caller.userId, input.orderId)
    return order ?? (yield* new OrderNotFound({ orderId: input.orderId }))
  })
)

const pages = makePages(Schema.Struct({ orderId: OrderId }))

export const orderPage = query(contract.orders.page, ({ caller, input }) =>
  pages(
    input,
    (before, limit) => listOrders(caller.userId, before?.orderId, limit),
    ({ id }) => ({ orderId: id })
  )
)

/** The state of an order now, and after every step until the final one. Another user's order is not found. */
export const watchOrder = subscription(contract.orders.watch, ({ caller, input }) =>
  Stream.unwrap(Effect.map(LiveOrders, (live) => live.watch(input.orderId))).pipe(
    Stream.mapEffect((found) =>
      found !== undefined && (found.userId === caller.userId || caller.role === "admin")
        ? Effect.succeed(found.state)
        : new OrderNotFound({ orderId: input.orderId })
    ),
    Stream.takeUntil(({ status }) => isFinal(status)),
    Stream.map((state) => ({ id: state.status, data: state }))
  )
)

/** Call after the commit of a step: subscribers are notified. */
export const ordersChanged = (orderIds: ReadonlyArray<OrderId>) =>
  LiveOrders.use((live) => live.notify(orderIds))

/** The orders among these that {@link lockOrders} has skipped, not those that do not exist or are another user's. */
export const skippedOrders = (orders: ReadonlyArray<OwnOrderId>, locked: ReadonlyArray<Order>) => {
  const found = new Set(locked.map(({ id }) => id))
  const missing = orders.filter(({ orderId }) => !found.has(orderId))
  return missing.length === 0 ? Effect.succeed<ReadonlyArray<OrderId>>([]) : existingOrders(missing)
}

/** Takes locked orders one step further. A status that the lock failed to protect is a bug. */
export const advanceOrders = Effect.fnUntraced(function* (
  orderIds: ReadonlyArray<OrderId>,
  from: OrderStatus,
  to: OrderStatus
) {
  const advanced = yield* updateStatus(orderIds, from, to)
  if (advanced !== orderIds.length)
    return yield* Effect.die(new Error(`${orderIds.length} orders were ${from}, ${advanced} became ${to}`))
})
