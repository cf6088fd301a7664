import * as Schema from "effect/Schema"
import { CouponId, OrderId, UserCouponId, UserId } from "../kernel/ids.ts"
import { Moment } from "../kernel/moment.ts"
import { AmountMinor } from "../kernel/money.ts"

/** The most user coupons that one campaign may issue. */
export const MAXIMUM_COUPONS = 1_000_000_000

/** The highest percentage that a user coupon may take off: half of the order's price. */
export const MAXIMUM_PERCENT = 50

const discount = Schema.Union([
  Schema.Struct({
    /** Whether it is a share of the price or an amount. */
    kind: Schema.Literal("percent"),
    /** The share, in percent. */
    percent: Schema.Int.check(
      Schema.isBetween(
        { minimum: 1, maximum: MAXIMUM_PERCENT },
        {
          message: `must be a whole number from 1 to ${MAXIMUM_PERCENT}: a coupon pays half of an order at most`
        }
      )
    )
  }),
  Schema.Struct({
    /** Whether it is a share of the price or an amount. */
    kind: Schema.Literal("fixed"),
    /** The amount, in minor units. */
    amountMinor: AmountMinor.check(
      Schema.makeFilter((amount: number) => amount >= 1, { message: "must be 1 minor unit or more" })
    )
  })
]).annotate({
  identifier: "Discount"
})
type DiscountBase = typeof discount
/** The schema {@link Discount}, with a name that editors keep. */
export interface DiscountSchema extends DiscountBase {}

/** What a user coupon takes off: a percentage of the price, rounded down to the minor unit, or a fixed amount. */
export const Discount: DiscountSchema = discount
export type Discount = typeof Discount.Type

const coupon = Schema.Struct({
  /** Identifies the campaign. */
  id: CouponId,
  /** The campaign's name. */
  name: Schema.String,
  /** What a user coupon takes off. It never changes, so that issued user coupons keep their worth. */
  discount: Discount,
  /** The least that the goods of an order must cost, in minor units. */
  minimumOrderMinor: AmountMinor,
  /** How many user coupons the campaign may issue; `issued` counts those that it has. */
  quantity: Schema.Int,
  /** How many it has issued. */
  issued: Schema.Int,
  /** The campaign issues from `startsAt` (inclusive) to `endsAt` (exclusive). */
  startsAt: Moment,
  /** Until when it issues, exclusive. */
  endsAt: Moment,
  /** How many days of 24 hours a user coupon is valid after it is issued. */
  validDays: Schema.Int,
  /** Whether an administrator has paused it. */
  paused: Schema.Boolean,
  /** When it was created. */
  createdAt: Moment
}).annotate({
  identifier: "Coupon"
})
type CouponBase = typeof coupon
/** The schema {@link Coupon}, with a name that editors keep. */
export interface CouponSchema extends CouponBase {}

/** A campaign: a limited quantity of user coupons, issued first come, first served. */
export const Coupon: CouponSchema = coupon
export type Coupon = typeof Coupon.Type

const userCoupon = Schema.Struct({
  /** Identifies the user coupon. */
  id: UserCouponId,
  /** The campaign that issued it. */
  couponId: CouponId,
  /** Whose it is. */
  userId: UserId,
  /** The campaign's name. */
  name: Schema.String,
  /** What a user coupon takes off. It never changes, so that issued user coupons keep their worth. */
  discount: Discount,
  /** The least that the goods of an order must cost, in minor units. */
  minimumOrderMinor: AmountMinor,
  /** When it was issued. */
  issuedAt: Moment,
  /** The user coupon is valid before this time. */
  expiresAt: Moment,
  /** The order that uses it; absent while it is unused. */
  orderId: Schema.optionalKey(OrderId)
}).annotate({ identifier: "UserCoupon" })
type UserCouponBase = typeof userCoupon
/** The schema {@link UserCoupon}, with a name that editors keep. */
export interface UserCouponSchema extends UserCouponBase {}

/** A user coupon: what a campaign issued to one user. */
export const UserCoupon: UserCouponSchema = userCoupon
export type UserCoupon = typeof UserCoupon.Type

/** Returns what a discount takes off goods of this price, without checking whether it may be used for them. */
export const discountOf = (discount: Discount, priceMinor: AmountMinor): AmountMinor =>
  discount.kind === "fixed"
    ? discount.amountMinor
    : // BigInt, because the product may exceed the safe integers.
      AmountMinor.make(Number((BigInt(priceMinor) * BigInt(discount.percent)) / 100n))

/** Returns the most that may be taken off goods of this price: half, rounded down. */
export const maximumDiscountOf = (priceMinor: AmountMinor): AmountMinor =>
  AmountMinor.make(Math.floor(priceMinor / 2))

/** Returns the lowest price of goods that a user coupon applies to: its minimum, and enough for 1 minor unit off. */
export const minimumPriceOf = ({
  discount,
  minimumOrderMinor
}: Pick<UserCoupon, "discount" | "minimumOrderMinor">): AmountMinor =>
  discount.kind === "fixed"
    ? minimumOrderMinor
    : AmountMinor.make(Math.max(minimumOrderMinor, Math.ceil(100 / discount.percent)))
