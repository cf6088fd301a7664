import { Schema } from "effect"
import { CouponId, OrderId, UserCouponId, UserId } from "./ids.ts"
import { AmountMinor } from "./money.ts"

/** The most coupons that one campaign may have. */
export const MAXIMUM_COUPONS = 1_000_000_000

/** The most that a coupon takes off, in parts of the order's price: half of it. */
export const MAXIMUM_PERCENT = 50

/** What a coupon takes off: a part of the price, rounded down to the minor unit, or a fixed amount. */
export const Discount = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("percent"),
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
    kind: Schema.Literal("fixed"),
    amountMinor: AmountMinor.check(
      Schema.makeFilter((amount: number) => amount >= 1, { message: "must be 1 minor unit or more" })
    )
  })
])
export type Discount = typeof Discount.Type

/** What the coupons of a campaign are worth. It never changes, so that nobody's coupon changes under them. */
const terms = {
  discount: Discount,
  /** The least that the goods of an order must cost. */
  minimumOrderMinor: AmountMinor
}

/** A campaign: coupons with a stock of their own, first come, first served. */
export const Coupon = Schema.Struct({
  id: CouponId,
  name: Schema.String,
  ...terms,
  /** How many there are; `issued` of them are gone. */
  quantity: Schema.Int,
  issued: Schema.Int,
  /** Issued from `startsAt` on, and no more from `endsAt` on. */
  startsAt: Schema.DateFromString,
  endsAt: Schema.DateFromString,
  /** For how many days of 24 hours a user may use the coupon once it is issued. */
  validDays: Schema.Int,
  paused: Schema.Boolean,
  createdAt: Schema.DateFromString
})
export type Coupon = typeof Coupon.Type

/** A coupon in the hands of its one user. */
export const UserCoupon = Schema.Struct({
  id: UserCouponId,
  couponId: CouponId,
  userId: UserId,
  name: Schema.String,
  ...terms,
  issuedAt: Schema.DateFromString,
  /** It can be used before this moment. */
  expiresAt: Schema.DateFromString,
  /** The order that it is used for; absent while it is unused. */
  orderId: Schema.optionalKey(OrderId)
})
export type UserCoupon = typeof UserCoupon.Type

/** What a coupon takes off goods of this price. Whether the coupon may be used for them is another question. */
export const discountOf = (discount: Discount, priceMinor: AmountMinor): AmountMinor =>
  discount.kind === "fixed"
    ? discount.amountMinor
    : // As BigInt, because the product may be beyond what a number holds exactly.
      AmountMinor.make(Number((BigInt(priceMinor) * BigInt(discount.percent)) / 100n))

/** The most that may be taken off goods of this price: half, rounded down. */
export const maximumDiscountOf = (priceMinor: AmountMinor): AmountMinor =>
  AmountMinor.make(Math.floor(priceMinor / 2))

/** The least that goods must cost for the coupon to be used: its minimum, and enough for 1 minor unit off. */
export const minimumPriceOf = ({
  discount,
  minimumOrderMinor
}: Pick<UserCoupon, "discount" | "minimumOrderMinor">): AmountMinor =>
  discount.kind === "fixed"
    ? minimumOrderMinor
    : AmountMinor.make(Math.max(minimumOrderMinor, Math.ceil(100 / discount.percent)))
