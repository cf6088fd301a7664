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
  TooManyUnpaidOrders,
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
import { lockBalances } from "../points/service.ts"
import { insertOrders, type Unpaid, unitsOf, unpaidOfUsers } from "./repository.ts"

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
  readonly maximumUnpaid: Unpaid
}

/** The shop's limits apply to merged lines: a product on two lines counts once, with both quantities. */
function prepare({ caller, input }: Call<typeof contract.orders.create>) {
  return Effect.gen(function* () {
    const { maximumUnpaid, orders: policy } = yield* ServerConfig
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
      expiresAfterMs: policy.expiresAfterMs,
      maximumUnpaid
    }
    return requested
  })
}

/**
 * The products come first: everything that follows sees the stock as it is, not as it was. The buyers' accounts come last,
 * as in payments; under their locks what they have not paid can only become less.
 */
function lockGoods(orders: ReadonlyArray<RequestedOrder>, heldRows: "skip" | "wait") {
  return Effect.gen(function* () {
    const skus = orders.flatMap(({ lines }) => lines.map(({ sku }) => sku))
    const userCoupons = orders.flatMap(({ userCouponId, userId }) =>
      userCouponId === undefined ? [] : [{ userId, userCouponId }]
    )
    const products = yield* lockProducts(skus, heldRows)
    const coupons = yield* lockUserCoupons(userCoupons, heldRows)
    const buyers = [...new Set(orders.map(({ userId }) => userId))]
    const accounts = yield* lockBalances(buyers, heldRows)
    const unpaid = yield* unpaidOfUsers(buyers)
    const held = new Set<string>()
    if (heldRows === "skip") {
      for (const sku of yield* skippedProducts(skus, products)) held.add(sku)
      for (const id of yield* skippedUserCoupons(userCoupons, coupons)) held.add(id)
      for (const buyer of buyers) if (!accounts.has(buyer)) held.add(buyer)
    }
    return { products, coupons, unpaid, held }
  })
}

/** A product, a coupon or an account that another transaction holds. */
function heldGoods(
  { held }: { readonly held: ReadonlySet<string> },
  { lines, userCouponId, userId }: RequestedOrder
) {
  return [...lines.map(({ sku }) => sku), userCouponId, userId].find(
    (row) => row !== undefined && held.has(row)
  )
}

/** What the orders are decided on: everything in it is locked. SKUs and coupons that do not exist are absent. */
export interface LockedGoods {
  readonly products: ReadonlyMap<Sku, Product>
  readonly coupons: ReadonlyMap<UserCouponId, UserCoupon>
  readonly unpaid: ReadonlyMap<UserId, Unpaid>
}

/** First come, first served. A refused order changes nothing for the orders after it. */
export function placeOrders(
  { coupons, products, unpaid }: LockedGoods,
  orders: ReadonlyArray<RequestedOrder>,
  now: Date
) {
  const remaining = new Map([...products].map(([sku, { stock }]) => [sku, stock]))
  const couponById = new Map(coupons)
  const unpaidOfUser = new Map(unpaid)
  return orders.map((requested) => {
    const own = unpaidOfUser.get(requested.userId) ?? { orders: 0, units: 0 }
    const placed = placeOrder(requested, { products, remaining, couponById, unpaid: own }, now)
    if (Result.isSuccess(placed)) {
      const { coupon, output } = placed.success
      for (const { quantity, sku } of output.items) remaining.set(sku, remaining.get(sku)! - quantity)
      const units = own.units + unitsOf(output.items)
      unpaidOfUser.set(requested.userId, { orders: own.orders + 1, units })
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
  /** What the buyer has not paid, the orders before this one included. */
  readonly unpaid: Unpaid
}

const placeOrder = (
  { expiresAfterMs, id, lines, maximumUnpaid, userCouponId, userId }: RequestedOrder,
  { couponById, products, remaining, unpaid }: Goods,
  now: Date
) =>
  Result.gen(function* () {
    yield* withinUnpaid(unpaid, { orders: 1, units: unitsOf(lines) }, maximumUnpaid)
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

const withinUnpaid = (
  unpaid: Unpaid,
  requested: Unpaid,
  maximum: Unpaid
): Result.Result<void, TooManyUnpaidOrders> => {
  const limit = (["orders", "units"] as const).find((of) => unpaid[of] + requested[of] > maximum[of])
  return limit === undefined
    ? Result.void
    : Result.fail(
        new TooManyUnpaidOrders({
          limit,
          unpaid: unpaid[limit],
          requested: requested[limit],
          maximum: maximum[limit]
        })
      )
}

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
      orders.map((order) => ({
        topic: "order.created",
        payload: { orderId: order.id, userId: order.userId, skus: order.items.map(({ sku }) => sku) },
        cause: order
      }))
    )
    yield* failpoint("order: rows inserted")
  })
}
