import {
  type AmountMinor,
  contract,
  CouponAlreadyUsed,
  CouponDiscountTooLarge,
  CouponExpired,
  CouponMinimumNotMet,
  discountOf,
  maximumDiscountOf,
  minimumPriceOf,
  type OrderId,
  type UserCoupon,
  UserCouponId,
  UserCouponNotFound
} from "@holdfast/domain"
import { Effect, Result, Schema } from "effect"
import { makePages } from "../../platform/db/pagination.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import { query } from "../../platform/trpc/handler.ts"
import {
  existingUserCoupons,
  insertCouponMovements,
  listUserCoupons,
  lockOrderCoupons,
  lockUserCouponRows,
  type OrderCoupon,
  type OwnUserCouponId,
  unuseUserCoupons,
  useUserCoupons
} from "./repository.ts"

export type { OrderCoupon } from "./repository.ts"

const pages = makePages(Schema.Struct({ userCouponId: UserCouponId }))

export const myCoupons = query(contract.coupons.mine, ({ caller, input }) =>
  pages(
    input,
    (before, limit) => listUserCoupons(caller.userId, before?.userCouponId, limit),
    ({ id }) => ({ userCouponId: id })
  )
)

/**
 * Locks coupons of their users until the transaction ends. Coupons that a user does not have are left out, and with
 * "skip" those that other transactions hold.
 */
export const lockUserCoupons = (coupons: ReadonlyArray<OwnUserCouponId>, heldRows: "skip" | "wait") =>
  coupons.length === 0
    ? Effect.succeed(new Map<UserCouponId, UserCoupon>())
    : lockUserCouponRows(coupons, heldRows)

/** The coupons among these that {@link lockUserCoupons} has skipped, not those that a user does not have. */
export const skippedUserCoupons = (
  coupons: ReadonlyArray<OwnUserCouponId>,
  locked: ReadonlyMap<UserCouponId, UserCoupon>
) => {
  const missing = coupons.filter(({ userCouponId }) => !locked.has(userCouponId))
  return missing.length === 0 ? Effect.succeed<ReadonlyArray<UserCouponId>>([]) : existingUserCoupons(missing)
}

/** A coupon for goods of this price, and what it takes off. Pure; `coupon` is absent when the user does not have it. */
export const redeem = (
  userCouponId: UserCouponId,
  coupon: UserCoupon | undefined,
  priceMinor: AmountMinor,
  now: Date
): Result.Result<
  { readonly coupon: UserCoupon; readonly discountMinor: AmountMinor },
  UserCouponNotFound | CouponAlreadyUsed | CouponExpired | CouponMinimumNotMet | CouponDiscountTooLarge
> => {
  if (coupon === undefined) return Result.fail(new UserCouponNotFound({ userCouponId }))
  if (coupon.orderId !== undefined)
    return Result.fail(new CouponAlreadyUsed({ userCouponId, orderId: coupon.orderId }))
  if (coupon.expiresAt <= now)
    return Result.fail(new CouponExpired({ userCouponId, expiredAt: coupon.expiresAt }))
  const minimumMinor = minimumPriceOf(coupon)
  if (priceMinor < minimumMinor)
    return Result.fail(new CouponMinimumNotMet({ userCouponId, priceMinor, minimumMinor }))
  const discountMinor = discountOf(coupon.discount, priceMinor)
  const maximumMinor = maximumDiscountOf(priceMinor)
  if (discountMinor > maximumMinor)
    return Result.fail(new CouponDiscountTooLarge({ userCouponId, discountMinor, maximumMinor }))
  return Result.succeed({ coupon, discountMinor })
}

/** A locked coupon, and the order that redeems it. */
export interface Redemption {
  readonly coupon: UserCoupon
  readonly orderId: OrderId
}

/** Uses locked coupons for orders whose rows exist. The guard refuses what the lock failed to protect: a bug. */
export const insertRedemptions = Effect.fnUntraced(function* (redemptions: ReadonlyArray<Redemption>) {
  if (redemptions.length === 0) return
  const coupons = redemptions.map(({ coupon: { couponId, id, userId }, orderId }) => ({
    id,
    couponId,
    userId,
    orderId
  }))
  const used = yield* useUserCoupons(coupons)
  if (used !== coupons.length)
    return yield* Effect.die(new Error(`${coupons.length} coupons were locked, ${used} were unused`))
  yield* insertCouponMovements(movementsOf(coupons, "use"))
  yield* insertEvents(eventsOf(coupons, "coupon.used"))
})

/** Locks the coupons that orders use, by order. Orders without a coupon are left out. */
export const lockCouponsOfOrders = (orderIds: ReadonlyArray<OrderId>) =>
  orderIds.length === 0
    ? Effect.succeed(new Map<OrderId, OrderCoupon>())
    : Effect.map(
        lockOrderCoupons(orderIds),
        (coupons) => new Map(coupons.map((coupon) => [coupon.orderId, coupon] as const))
      )

/** Gives locked coupons of cancelled orders back to their users. A coupon keeps the expiry that it had. */
export const returnCoupons = Effect.fnUntraced(function* (coupons: ReadonlyArray<OrderCoupon>) {
  if (coupons.length === 0) return
  const returned = yield* unuseUserCoupons(coupons)
  if (returned !== coupons.length)
    return yield* Effect.die(new Error(`${coupons.length} coupons were locked, ${returned} came back`))
  yield* insertCouponMovements(movementsOf(coupons, "return"))
  yield* insertEvents(eventsOf(coupons, "coupon.returned"))
})

const movementsOf = (coupons: ReadonlyArray<OrderCoupon>, kind: "use" | "return") =>
  coupons.map(({ couponId, id, orderId }) => ({ couponId, delta: 0, kind, userCouponId: id, orderId }))

const eventsOf = (coupons: ReadonlyArray<OrderCoupon>, topic: "coupon.used" | "coupon.returned") =>
  coupons.map(({ couponId, id, orderId, userId }) => ({
    topic,
    payload: { userCouponId: id, couponId, userId, orderId }
  }))
