import { Schema } from "effect"
import { Coupon, Discount, MAXIMUM_COUPONS, UserCoupon } from "../coupons.ts"
import {
  CouponAlreadyIssued,
  CouponEnded,
  CouponNotFound,
  CouponNotStarted,
  CouponPaused,
  CouponQuantityExceeded,
  CouponSoldOut,
  TicketNotFound
} from "../errors/coupons.ts"
import { CouponId, TicketId } from "../ids.ts"
import { AmountMinor } from "../money.ts"
import { mutation, query, subscription } from "./procedure.ts"
import { pageInput, pageOf, plainText } from "./shared.ts"

const couponCount = Schema.Int.check(
  Schema.isBetween(
    { minimum: 1, maximum: MAXIMUM_COUPONS },
    { message: `must be a whole number from 1 to ${MAXIMUM_COUPONS}` }
  )
)

const EARLIEST = Date.UTC(2000, 0, 1)
const LATEST = Date.UTC(9000, 0, 1)

/** A moment that every database can hold, with a day added to it as well. */
const moment = Schema.DateFromString.check(
  Schema.makeFilter((date: Date) => date.getTime() >= EARLIEST && date.getTime() <= LATEST, {
    message: "must be a date with time between the years 2000 and 9000"
  })
)

/** Why a request for a coupon is refused, in the order in which the reasons are looked at. */
export const couponRefusals = [
  CouponNotFound,
  CouponAlreadyIssued,
  CouponNotStarted,
  CouponEnded,
  CouponPaused,
  CouponSoldOut
] as const

/** A place in the line for a coupon: who waits, who has the coupon, who was refused and why. */
export const CouponTicket = Schema.Struct({
  id: TicketId,
  couponId: CouponId,
  requestedAt: Schema.DateFromString,
  result: Schema.Union([
    Schema.Struct({ status: Schema.Literal("waiting") }),
    Schema.Struct({ status: Schema.Literal("issued"), coupon: UserCoupon }),
    Schema.Struct({ status: Schema.Literal("refused"), error: Schema.Union(couponRefusals) })
  ])
})
export type CouponTicket = typeof CouponTicket.Type

/** A campaign as its administrator sees it in the middle of a sale. */
export const CouponCounts = Schema.Struct({
  coupon: Coupon,
  /** How many of the issued ones are used for an order. */
  used: Schema.Int,
  /** Tickets that are still in line. */
  waiting: Schema.Int,
  /** What admits to the sale: slots that are free, and reserved by requests in flight. Absent while it is not built. */
  gate: Schema.optionalKey(Schema.Struct({ free: Schema.Int, reserved: Schema.Int }))
})
export type CouponCounts = typeof CouponCounts.Type

export const coupons = {
  byId: query({
    access: "public",
    summary: "One campaign.",
    input: Schema.Struct({ couponId: CouponId }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  page: query({
    access: "public",
    summary: "A page of the campaigns that are not over, the newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(Coupon),
    errors: []
  }),
  issue: mutation({
    access: "user",
    summary: "Issues one coupon of a campaign to the caller: first come, first served, one a user.",
    input: Schema.Struct({ couponId: CouponId }),
    output: UserCoupon,
    errors: couponRefusals
  }),
  mine: query({
    access: "user",
    summary: "A page of the caller's coupons, the newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(UserCoupon),
    errors: []
  }),
  requestIssue: mutation({
    access: "user",
    summary:
      "Takes a place in the line for a coupon and answers at once. A caller who is in line already keeps that place.",
    input: Schema.Struct({ couponId: CouponId }),
    output: CouponTicket,
    errors: couponRefusals
  }),
  ticket: query({
    access: "user",
    summary: "What became of one of the caller's tickets.",
    input: Schema.Struct({ ticketId: TicketId }),
    output: CouponTicket,
    errors: [TicketNotFound]
  }),
  watchTicket: subscription({
    access: "user",
    summary: "One of the caller's tickets now, and once more when it is settled; then the subscription ends.",
    input: Schema.Struct({ ticketId: TicketId }),
    output: CouponTicket,
    errors: [TicketNotFound]
  })
}

/** For administrators alone. */
export const couponsAdmin = {
  createCoupon: mutation({
    access: "admin",
    summary: "Starts a campaign: coupons with a stock of their own, issued from one moment to another.",
    input: Schema.Struct({
      name: plainText(200),
      discount: Discount,
      minimumOrderMinor: AmountMinor,
      quantity: couponCount,
      startsAt: moment,
      endsAt: moment,
      validDays: Schema.Int.check(
        Schema.isBetween(
          { minimum: 1, maximum: 3650 },
          { message: "must be a whole number of days from 1 to 3650" }
        )
      )
    }).check(
      Schema.makeFilter(({ endsAt, startsAt }: { readonly startsAt: Date; readonly endsAt: Date }) =>
        startsAt < endsAt ? undefined : { path: ["endsAt"], issue: "must be after startsAt" }
      )
    ),
    output: Coupon,
    errors: []
  }),
  pauseCoupon: mutation({
    access: "admin",
    summary: "Stops issuing. Coupons that users have stay good. Asked again, nothing changes.",
    input: Schema.Struct({ couponId: CouponId }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  resumeCoupon: mutation({
    access: "admin",
    summary: "Goes on issuing. Asked again, nothing changes.",
    input: Schema.Struct({ couponId: CouponId }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  raiseCouponQuantity: mutation({
    access: "admin",
    summary: "Adds coupons to a campaign. There is no way to take some away.",
    input: Schema.Struct({ couponId: CouponId, additional: couponCount }),
    output: Coupon,
    errors: [CouponNotFound, CouponQuantityExceeded]
  }),
  couponCounts: query({
    access: "admin",
    summary: "A page of all campaigns with their live counts, the newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(CouponCounts),
    errors: []
  })
}
