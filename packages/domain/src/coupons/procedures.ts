import * as Schema from "effect/Schema"
import { CouponId, TicketId } from "../kernel/ids.ts"
import { Moment } from "../kernel/moment.ts"
import { AmountMinor } from "../kernel/money.ts"
import { pageInput, pageOf } from "../kernel/page.ts"
import { mutation, query, subscription } from "../kernel/procedure.ts"
import { plainText } from "../kernel/text.ts"
import {
  CouponAlreadyIssued,
  CouponEnded,
  CouponNotFound,
  CouponNotStarted,
  CouponPaused,
  CouponQuantityExceeded,
  CouponSoldOut,
  TicketNotFound
} from "./errors.ts"
import { Coupon, Discount, MAXIMUM_COUPONS, UserCoupon } from "./schema.ts"

const couponCount = Schema.Int.check(
  Schema.isBetween(
    { minimum: 1, maximum: MAXIMUM_COUPONS },
    { message: `must be a whole number from 1 to ${MAXIMUM_COUPONS}` }
  )
)

const EARLIEST = Date.UTC(2000, 0, 1)
const LATEST = Date.UTC(9000, 0, 1)

/** A time that every supported database can store, even with the validity of a user coupon added. */
const campaignMoment = Moment.check(
  Schema.makeFilter((date: Date) => date.getTime() >= EARLIEST && date.getTime() <= LATEST, {
    message: "must be a date with time between the years 2000 and 9000"
  })
)

/** Why a campaign refuses to issue a user coupon, in the order in which the reasons are checked. */
export const couponRefusals = [
  CouponNotFound,
  CouponAlreadyIssued,
  CouponNotStarted,
  CouponEnded,
  CouponPaused,
  CouponSoldOut
] as const

/** A ticket: a user's place in a campaign's queue and, once it is settled, the user coupon or the refusal. */
export const CouponTicket = Schema.Struct({
  id: TicketId,
  couponId: CouponId,
  requestedAt: Moment,
  result: Schema.Union([
    Schema.Struct({ status: Schema.Literal("waiting") }),
    Schema.Struct({ status: Schema.Literal("issued"), coupon: UserCoupon }),
    Schema.Struct({ status: Schema.Literal("refused"), error: Schema.Union(couponRefusals) })
  ])
}).annotate({
  identifier: "CouponTicket",
  description:
    "A ticket: a user's place in a campaign's queue and, once it is settled, the user coupon or the refusal."
})
export type CouponTicket = typeof CouponTicket.Type

/** A campaign with its live counts, for administrators. */
export const CouponCounts = Schema.Struct({
  coupon: Coupon,
  /** How many of the issued user coupons are used for an order. */
  used: Schema.Int,
  /** How many tickets are waiting. */
  waiting: Schema.Int,
  /** The gate's free slots and the reservations of requests in flight; absent until the gate is built. */
  gate: Schema.optionalKey(Schema.Struct({ free: Schema.Int, reserved: Schema.Int }))
}).annotate({
  identifier: "CouponCounts",
  description: "A campaign with its live counts, for administrators."
})
export type CouponCounts = typeof CouponCounts.Type

/** The procedures of the group `coupons`. */
export const coupons = {
  byId: query({
    access: "public",
    summary: "Returns one campaign.",
    input: Schema.Struct({ couponId: CouponId }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  page: query({
    access: "public",
    summary: "Returns a page of the campaigns that have not ended, newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(Coupon),
    errors: []
  }),
  issue: mutation({
    access: "user",
    summary:
      "Issues a user coupon of a campaign to the caller: first come, first served, at most one per user.",
    input: Schema.Struct({ couponId: CouponId }),
    output: UserCoupon,
    errors: couponRefusals
  }),
  mine: query({
    access: "user",
    summary: "Returns a page of the caller's user coupons, newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(UserCoupon),
    errors: []
  }),
  requestIssue: mutation({
    access: "user",
    summary:
      "Joins a campaign's queue and returns a ticket at once. A caller who is already queued keeps their place.",
    input: Schema.Struct({ couponId: CouponId }),
    output: CouponTicket,
    errors: couponRefusals
  }),
  ticket: query({
    access: "user",
    summary: "Returns one of the caller's tickets with its result.",
    input: Schema.Struct({ ticketId: TicketId }),
    output: CouponTicket,
    errors: [TicketNotFound]
  }),
  watchTicket: subscription({
    access: "user",
    summary: "Emits one of the caller's tickets now and again when it is settled, then ends.",
    input: Schema.Struct({ ticketId: TicketId }),
    output: CouponTicket,
    errors: [TicketNotFound]
  })
}

/** The procedures on campaigns in the group `admin`. */
export const couponsAdmin = {
  createCoupon: mutation({
    access: "admin",
    summary: "Creates a campaign: a limited quantity of user coupons, issued between two points in time.",
    input: Schema.Struct({
      name: plainText(200),
      discount: Discount,
      minimumOrderMinor: AmountMinor,
      quantity: couponCount,
      startsAt: campaignMoment,
      endsAt: campaignMoment,
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
    summary: "Pauses a campaign. Issued user coupons stay valid. Pausing a paused campaign changes nothing.",
    input: Schema.Struct({ couponId: CouponId }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  resumeCoupon: mutation({
    access: "admin",
    summary: "Resumes a paused campaign. Resuming a running campaign changes nothing.",
    input: Schema.Struct({ couponId: CouponId }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  raiseCouponQuantity: mutation({
    access: "admin",
    summary: "Raises the quantity of a campaign. A quantity cannot be lowered.",
    input: Schema.Struct({ couponId: CouponId, additional: couponCount }),
    output: Coupon,
    errors: [CouponNotFound, CouponQuantityExceeded]
  }),
  couponCounts: query({
    access: "admin",
    summary: "Returns a page of all campaigns with their live counts, newest first.",
    input: Schema.Struct(pageInput),
    output: pageOf(CouponCounts),
    errors: []
  })
}
