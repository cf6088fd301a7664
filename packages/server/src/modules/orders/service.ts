import {
  AmountMinor,
  canBecome,
  contract,
  mergeLines,
  multiplyMinor,
  type Order,
  OrderCreateLock,
  OrderId,
  type OrderLine,
  OrderLimitExceeded,
  OrderNotFound,
  type OrderStatus,
  PAGE_SIZE,
  sumMinor,
  type UserCouponId,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect, Schema } from "effect"
import { ServerConfig } from "../../config.ts"
import { makeCursor, toPage } from "../../platform/db/pagination.ts"
import { withIdempotency, orAnsweredBefore } from "../../platform/idempotency/idempotency.ts"
import { newOrderId } from "../../platform/db/ids.ts"
import { insertOutbox } from "../../platform/outbox/outbox.ts"
import { failpoint } from "../../platform/failpoints.ts"
import { withLock } from "@holdfast/locks"
import type { Call } from "../../platform/trpc/adapter.ts"
import { mapLockErrors } from "../../platform/trpc/lock-errors.ts"
import { productsChanged, reserveStock } from "../catalog/service.ts"
import { redeemableCoupon, redeemCoupon } from "../coupons/service.ts"
import { LiveOrders } from "./order-live.ts"
import {
  findOrder,
  insertOrder,
  insertOrderItems,
  listOrders,
  lockOrder,
  updateStatus
} from "./repository.ts"

export const createOrder = Effect.fn("createOrder")(function* (call: Call<typeof contract.orders.create>) {
  const { caller, input, request } = call
  const lines = mergeLines(input.lines)
  yield* checkPolicy(lines)
  const mutation = { procedure: contract.orders.create, userId: caller.userId, request, input }
  return yield* withIdempotency(mutation, placeOrder(caller.userId, lines, input.userCouponId)).pipe(
    Effect.tap(() => failpoint("order: committed")),
    withLock(OrderCreateLock, { userId: caller.userId, lines }),
    orAnsweredBefore(mutation),
    mapLockErrors,
    Effect.tap((order) => productsChanged(order.items))
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
const placeOrder = Effect.fnUntraced(function* (
  userId: UserId,
  lines: ReadonlyArray<OrderLine>,
  userCouponId: UserCouponId | undefined
) {
  const { orders: policy } = yield* ServerConfig
  const orderId = newOrderId()
  const items = yield* reserveStock(orderId, lines)
  yield* failpoint("order: stock reserved")
  const priceMinor = sumMinor(
    items.map(({ quantity, unitPriceMinor }) => multiplyMinor(unitPriceMinor, quantity))
  )
  const redeemable =
    userCouponId === undefined ? undefined : yield* redeemableCoupon(userId, userCouponId, priceMinor)
  const discountMinor = redeemable?.discountMinor ?? AmountMinor.make(0)
  const now = yield* Clock.currentTimeMillis
  const order: Order = {
    id: orderId,
    userId,
    status: "PENDING",
    items,
    totalMinor: AmountMinor.make(priceMinor - discountMinor),
    discountMinor,
    ...(userCouponId === undefined ? {} : { userCouponId }),
    createdAt: new Date(now),
    expiresAt: new Date(now + policy.expiresAfterMs)
  }
  yield* insertOrder(order)
  yield* insertOrderItems(order)
  if (redeemable !== undefined) yield* redeemCoupon(redeemable.coupon, orderId)
  yield* insertOutbox("order.created", { orderId, userId, skus: items.map(({ sku }) => sku) })
  yield* failpoint("order: rows inserted")
  return order
})

export const getOrder = Effect.fn("getOrder")(function* ({
  caller,
  input
}: Call<typeof contract.orders.get>) {
  const order = yield* findOwnOrder(caller.userId, input.orderId)
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

/** One of this user's orders; undefined when there is none with this id. */
export const findOwnOrder = findOrder

/** Locks an order of this user for the rest of the transaction. */
export const lockOwnOrder = Effect.fnUntraced(function* (userId: UserId, orderId: OrderId) {
  const order = yield* lockOrder(userId, orderId)
  if (order === undefined) return yield* new OrderNotFound({ orderId })
  return order
})

/** After a step of this order was committed: who watches it is told. */
export const announceStep = (orderId: OrderId) => LiveOrders.use((board) => board.announce([orderId]))

/** Takes a locked order one step further; a step that the table of states does not have is a bug. */
export const advanceOrder = Effect.fnUntraced(function* (
  orderId: OrderId,
  from: OrderStatus,
  to: OrderStatus
) {
  const isAdvanced = canBecome(from, to) && (yield* updateStatus(orderId, from, to))
  if (!isAdvanced) return yield* Effect.die(new Error(`order ${orderId} cannot go from ${from} to ${to}`))
})
