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
  /** Identifies the ticket. */
  id: TicketId,
  /** The campaign that it waits for. */
  couponId: CouponId,
  /** When the user joined the queue. */
  requestedAt: Moment,
  /** `waiting`, then `issued` or `refused`. */
  result: Schema.Union([
    Schema.Struct({
      /** What became of the ticket. */
      status: Schema.Literal("waiting")
    }),
    Schema.Struct({
      /** What became of the ticket. */
      status: Schema.Literal("issued"),
      /** The user coupon that was issued. */
      coupon: UserCoupon
    }),
    Schema.Struct({
      /** What became of the ticket. */
      status: Schema.Literal("refused"),
      /** Why the campaign refuses. */
      error: Schema.Union(couponRefusals)
    })
  ])
}).annotate({
  identifier: "CouponTicket"
})
export type CouponTicket = typeof CouponTicket.Type

/** A campaign with its live counts, for administrators. */
export const CouponCounts = Schema.Struct({
  /** The campaign. */
  coupon: Coupon,
  /** How many of the issued user coupons are used for an order. */
  used: Schema.Int,
  /** How many tickets are waiting. */
  waiting: Schema.Int,
  /** The gate's free slots and the reservations of requests in flight; absent until the gate is built. */
  gate: Schema.optionalKey(
    Schema.Struct({
      /** The slots that nobody has reserved. */
      free: Schema.Int,
      /** The slots of requests in flight. */
      reserved: Schema.Int
    })
  )
}).annotate({
  identifier: "CouponCounts"
})
export type CouponCounts = typeof CouponCounts.Type

/** The procedures of the group `coupons`. */
export const coupons = {
  /** Returns one campaign. */
  byId: query({
    access: "public",
    input: Schema.Struct({
      /** The campaign. */
      couponId: CouponId
    }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  /** Returns a page of the campaigns that have not ended, newest first. */
  page: query({
    access: "public",
    input: Schema.Struct(pageInput),
    output: pageOf(Coupon),
    errors: []
  }),
  /** Issues a user coupon of a campaign to the caller: first come, first served, at most one per user. */
  issue: mutation({
    access: "user",
    input: Schema.Struct({
      /** The campaign. */
      couponId: CouponId
    }),
    output: UserCoupon,
    errors: couponRefusals
  }),
  /** Returns a page of the caller's user coupons, newest first. */
  mine: query({
    access: "user",
    input: Schema.Struct(pageInput),
    output: pageOf(UserCoupon),
    errors: []
  }),
  /** Joins a campaign's queue and returns a ticket at once. A caller who is already queued keeps their place. */
  requestIssue: mutation({
    access: "user",
    input: Schema.Struct({
      /** The campaign. */
      couponId: CouponId
    }),
    output: CouponTicket,
    errors: couponRefusals
  }),
  /** Returns one of the caller's tickets with its result. */
  ticket: query({
    access: "user",
    input: Schema.Struct({
      /** The ticket. */
      ticketId: TicketId
    }),
    output: CouponTicket,
    errors: [TicketNotFound]
  }),
  /** Emits one of the caller's tickets now and again when it is settled, then ends. */
  watchTicket: subscription({
    access: "user",
    input: Schema.Struct({
      /** The ticket. */
      ticketId: TicketId
    }),
    output: CouponTicket,
    errors: [TicketNotFound]
  })
}

/** The procedures on campaigns in the group `admin`. */
export const couponsAdmin = {
  /** Creates a campaign: a limited quantity of user coupons, issued between two points in time. */
  createCoupon: mutation({
    access: "admin",
    input: Schema.Struct({
      /** The campaign's name. */
      name: plainText(200),
      /** What its user coupons take off. */
      discount: Discount,
      /** The least that the goods of an order must cost, in minor units. */
      minimumOrderMinor: AmountMinor,
      /** How many user coupons it may issue. */
      quantity: couponCount,
      /** From when on it issues, inclusive. */
      startsAt: campaignMoment,
      /** Until when it issues, exclusive. */
      endsAt: campaignMoment,
      /** How many days of 24 hours a user coupon is valid after it is issued. */
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
  /** Pauses a campaign. Issued user coupons stay valid. Pausing a paused campaign changes nothing. */
  pauseCoupon: mutation({
    access: "admin",
    input: Schema.Struct({
      /** The campaign. */
      couponId: CouponId
    }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  /** Resumes a paused campaign. Resuming a running campaign changes nothing. */
  resumeCoupon: mutation({
    access: "admin",
    input: Schema.Struct({
      /** The campaign. */
      couponId: CouponId
    }),
    output: Coupon,
    errors: [CouponNotFound]
  }),
  /** Raises the quantity of a campaign. A quantity cannot be lowered. */
  raiseCouponQuantity: mutation({
    access: "admin",
    input: Schema.Struct({
      /** The campaign. */
      couponId: CouponId,
      /** How many more it may issue. */
      additional: couponCount
    }),
    output: Coupon,
    errors: [CouponNotFound, CouponQuantityExceeded]
  }),
  /** Returns a page of all campaigns with their live counts, newest first. */
  couponCounts: query({
    access: "admin",
    input: Schema.Struct(pageInput),
    output: pageOf(CouponCounts),
    errors: []
  })
}
