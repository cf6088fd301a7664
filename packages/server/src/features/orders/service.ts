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
import { ServerConfig } from "../../config/ServerConfig.ts"
import { makeCursor, toPage } from "../../db/cursor.ts"
import { exactlyOnce, orAnsweredBefore } from "../../db/exactlyOnce.ts"
import { newOrderId } from "../../db/ids.ts"
import { insertOutbox } from "../../db/outbox.ts"
import { passed } from "../../observability/steps.ts"
import { withLock } from "../../locks/index.ts"
import type { Call } from "../../rpc/implement.ts"
import { lockTroubleIsTransient } from "../../rpc/underLock.ts"
import { productsChanged, reserveStock } from "../catalog/service.ts"
import { redeemableCoupon, redeemCoupon } from "../coupons/service.ts"
import { OrderBoard } from "./OrderBoard.ts"
import { findOrder, insertOrder, insertOrderItems, listOrders, lockOrder, updateStatus } from "./queries.ts"

export const createOrder = Effect.fn("createOrder")(function* (call: Call<typeof contract.orders.create>) {
  const { caller, input, request } = call
  const lines = mergeLines(input.lines)
  yield* checkPolicy(lines)
  const mutation = { procedure: contract.orders.create, userId: caller.userId, request, input }
  return yield* exactlyOnce(mutation, placeOrder(caller.userId, lines, input.userCouponId)).pipe(
    Effect.tap(() => passed("order: committed")),
    withLock(OrderCreateLock, { userId: caller.userId, lines }),
    orAnsweredBefore(mutation),
    lockTroubleIsTransient,
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
  yield* passed("order: stock reserved")
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
  yield* passed("order: rows inserted")
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
export const announceStep = (orderId: OrderId) => OrderBoard.use((board) => board.announce([orderId]))

/** Takes a locked order one step further; a step that the table of states does not have is a bug. */
export const advanceOrder = Effect.fnUntraced(function* (
  orderId: OrderId,
  from: OrderStatus,
  to: OrderStatus
) {
  const isAdvanced = canBecome(from, to) && (yield* updateStatus(orderId, from, to))
  if (!isAdvanced) return yield* Effect.die(new Error(`order ${orderId} cannot go from ${from} to ${to}`))
})
