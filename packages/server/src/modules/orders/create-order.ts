import {
  AmountMinor,
  contract,
  mergeLines,
  type Order,
  OrderCreateLock,
  type OrderId,
  type OrderLine,
  OrderLimitExceeded,
  OrderTotalTooLarge,
  type Product,
  type Sku,
  totalPriceOf,
  type UserCoupon,
  type UserCouponId,
  type UserId
} from "@holdfast/domain"
import { Effect, Result } from "effect"
import { ServerConfig } from "../../config.ts"
import { command } from "../../platform/command/command.ts"
import { newOrderId } from "../../platform/db/ids.ts"
import { failpoint } from "../../platform/failpoints.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import type { Call } from "../../platform/trpc/handler.ts"
import {
  lockProducts,
  priceLines,
  productsChanged,
  reserveUnits,
  skippedProducts
} from "../catalog/service.ts"
import { insertRedemptions, lockUserCoupons, redeem, skippedUserCoupons } from "../coupons/service.ts"
import { insertOrders } from "./repository.ts"

declare module "../../platform/failpoints.ts" {
  interface Failpoints {
    "order: stock reserved": true
    "order: rows inserted": true
  }
}

/** Reserves stock for an order that is to be paid before it expires, and redeems its coupon. */
export const createOrder = command(contract.orders.create, {
  prepare,
  lock: ({ lines, userId }) => OrderCreateLock.of({ userId, lines }),
  group: { queue: () => "orders", weigh: ({ lines }) => lines.length },
  transaction: { lock: lockGoods, blockedBy: heldGoods, decide: placeOrders, write: insertPlacedOrders },
  afterCommit: (orders) => productsChanged(orders.flatMap(({ items }) => items))
})

/** An order that is asked for: its lines merged and within the shop's limits. */
export interface RequestedOrder {
  readonly id: OrderId
  readonly userId: UserId
  readonly lines: ReadonlyArray<OrderLine>
  readonly userCouponId: UserCouponId | undefined
  readonly expiresAfterMs: number
}

/** The shop's limits apply to merged lines: a product on two lines counts once, with both quantities. */
function prepare({ caller, input }: Call<typeof contract.orders.create>) {
  return Effect.gen(function* () {
    const { orders: policy } = yield* ServerConfig
    const lines = mergeLines(input.lines)
    if (lines.length > policy.maximumLines)
      return yield* new OrderLimitExceeded({
        limit: "lines",
        requested: lines.length,
        maximum: policy.maximumLines
      })
    const tooMany = lines.find(({ quantity }) => quantity > policy.maximumQuantity)
    if (tooMany !== undefined)
      return yield* new OrderLimitExceeded({
        limit: "quantity",
        sku: tooMany.sku,
        requested: tooMany.quantity,
        maximum: policy.maximumQuantity
      })
    const requested: RequestedOrder = {
      id: newOrderId(),
      userId: caller.userId,
      lines,
      userCouponId: input.userCouponId,
      expiresAfterMs: policy.expiresAfterMs
    }
    return requested
  })
}

/** The products come first: everything that follows sees the stock as it is, not as it was. */
function lockGoods(orders: ReadonlyArray<RequestedOrder>, heldRows: "skip" | "wait") {
  return Effect.gen(function* () {
    const skus = orders.flatMap(({ lines }) => lines.map(({ sku }) => sku))
    const userCoupons = orders.flatMap(({ userCouponId, userId }) =>
      userCouponId === undefined ? [] : [{ userId, userCouponId }]
    )
    const products = yield* lockProducts(skus, heldRows)
    const coupons = yield* lockUserCoupons(userCoupons, heldRows)
    const held = new Set<string>()
    if (heldRows === "skip") {
      for (const sku of yield* skippedProducts(skus, products)) held.add(sku)
      for (const id of yield* skippedUserCoupons(userCoupons, coupons)) held.add(id)
    }
    return { products, coupons, held }
  })
}

/** A product or coupon that another transaction holds. */
function heldGoods(
  { held }: { readonly held: ReadonlySet<string> },
  { lines, userCouponId }: RequestedOrder
) {
  return [...lines.map(({ sku }) => sku), userCouponId].find((row) => row !== undefined && held.has(row))
}

/** What the orders are decided on: everything in it is locked. SKUs and coupons that do not exist are absent. */
export interface LockedGoods {
  readonly products: ReadonlyMap<Sku, Product>
  readonly coupons: ReadonlyMap<UserCouponId, UserCoupon>
}

/** First come, first served. A refused order changes nothing for the orders after it. */
export function placeOrders(
  { coupons, products }: LockedGoods,
  orders: ReadonlyArray<RequestedOrder>,
  now: Date
) {
  const remaining = new Map([...products].map(([sku, { stock }]) => [sku, stock]))
  const couponById = new Map(coupons)
  return orders.map((requested) => {
    const placed = placeOrder(requested, { products, remaining, couponById }, now)
    if (Result.isSuccess(placed)) {
      const { coupon, output } = placed.success
      for (const { quantity, sku } of output.items) remaining.set(sku, remaining.get(sku)! - quantity)
      if (coupon !== undefined) couponById.set(coupon.id, { ...coupon, orderId: output.id })
    }
    return placed
  })
}

interface Goods {
  readonly products: ReadonlyMap<Sku, Product>
  /** Units that the orders before this one have left. */
  readonly remaining: ReadonlyMap<Sku, number>
  readonly couponById: ReadonlyMap<UserCouponId, UserCoupon>
}

const placeOrder = (
  { expiresAfterMs, id, lines, userCouponId, userId }: RequestedOrder,
  { couponById, products, remaining }: Goods,
  now: Date
) =>
  Result.gen(function* () {
    const items = yield* priceLines(lines, products, remaining)
    const priceMinor = yield* Result.mapError(
      totalPriceOf(items),
      ({ sku }) => new OrderTotalTooLarge({ sku, maximumMinor: Number.MAX_SAFE_INTEGER })
    )
    const redemption =
      userCouponId === undefined
        ? undefined
        : yield* redeem(userCouponId, ownCoupon(couponById.get(userCouponId), userId), priceMinor, now)
    const discountMinor = redemption?.discountMinor ?? AmountMinor.make(0)
    const output: Order = {
      id,
      userId,
      status: "PENDING",
      items,
      totalMinor: AmountMinor.make(priceMinor - discountMinor),
      discountMinor,
      ...(userCouponId === undefined ? {} : { userCouponId }),
      createdAt: now,
      expiresAt: new Date(now.getTime() + expiresAfterMs)
    }
    return { output, coupon: redemption?.coupon }
  })

/** Another user's coupon may be locked for its owner's order in the same list. */
const ownCoupon = (coupon: UserCoupon | undefined, userId: UserId) =>
  coupon?.userId === userId ? coupon : undefined

type PlacedOrder = Result.Result.Success<ReturnType<typeof placeOrder>>

function insertPlacedOrders(placed: ReadonlyArray<PlacedOrder>) {
  return Effect.gen(function* () {
    const orders = placed.map(({ output }) => output)
    yield* reserveUnits(
      orders.map(({ id, items, userId }) => ({ orderId: id, lines: items, actorId: userId }))
    )
    yield* failpoint("order: stock reserved")
    yield* insertOrders(orders)
    yield* insertRedemptions(
      placed.flatMap(({ coupon, output }) => (coupon === undefined ? [] : [{ coupon, orderId: output.id }]))
    )
    yield* insertEvents(
      orders.map(({ id, items, userId }) => ({
        topic: "order.created",
        payload: { orderId: id, userId, skus: items.map(({ sku }) => sku) }
      }))
    )
    yield* failpoint("order: rows inserted")
  })
}
