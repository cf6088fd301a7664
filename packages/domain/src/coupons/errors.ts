import * as Schema from "effect/Schema"
import { domainError } from "../kernel/error.ts"
import { CouponId, OrderId, UserCouponId } from "../kernel/ids.ts"
import { Moment } from "../kernel/moment.ts"
import { UserCoupon } from "./schema.ts"

/** No campaign has this id. */
export class CouponNotFound extends domainError<CouponNotFound>()(
  "CouponNotFound",
  {
    /** The id that was asked for. */
    couponId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ couponId }) => `there is no coupon ${couponId}` }
) {}

/** The campaign has not started. */
export class CouponNotStarted extends domainError<CouponNotStarted>()(
  "CouponNotStarted",
  {
    /** The campaign. */
    couponId: CouponId,
    /** From when on it issues. */
    startsAt: Moment
  },
  {
    code: "PRECONDITION_FAILED",
    message: ({ couponId, startsAt }) => `coupon ${couponId} is issued from ${startsAt.toISOString()} on`
  }
) {}

/** The campaign has ended. */
export class CouponEnded extends domainError<CouponEnded>()(
  "CouponEnded",
  {
    /** The campaign. */
    couponId: CouponId,
    /** Until when it issued. */
    endedAt: Moment
  },
  {
    code: "PRECONDITION_FAILED",
    message: ({ couponId, endedAt }) => `coupon ${couponId} was issued until ${endedAt.toISOString()}`
  }
) {}

/** An administrator has paused the campaign. */
export class CouponPaused extends domainError<CouponPaused>()(
  "CouponPaused",
  {
    /** The campaign. */
    couponId: CouponId
  },
  { code: "PRECONDITION_FAILED", message: ({ couponId }) => `coupon ${couponId} is paused` }
) {}

/** The campaign has issued its whole quantity. */
export class CouponSoldOut extends domainError<CouponSoldOut>()(
  "CouponSoldOut",
  {
    /** The campaign. */
    couponId: CouponId,
    /** How many user coupons it has issued. */
    quantity: Schema.Int
  },
  {
    code: "CONFLICT",
    message: ({ couponId, quantity }) => `all ${quantity} of coupon ${couponId} are issued`
  }
) {}

/** The campaign has already issued a user coupon to this user. The error carries it. */
export class CouponAlreadyIssued extends domainError<CouponAlreadyIssued>()(
  "CouponAlreadyIssued",
  {
    /** The user coupon that the caller has. */
    coupon: UserCoupon
  },
  {
    code: "CONFLICT",
    message: ({ coupon }) =>
      `coupon ${coupon.couponId} was issued to this user at ${coupon.issuedAt.toISOString()}`
  }
) {}

/** The new quantity would exceed what a campaign may issue. */
export class CouponQuantityExceeded extends domainError<CouponQuantityExceeded>()(
  "CouponQuantityExceeded",
  {
    /** The campaign. */
    couponId: CouponId,
    /** The campaign's quantity now. */
    quantity: Schema.Int,
    /** The most that a campaign may issue. */
    maximum: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ couponId, maximum, quantity }) =>
      `coupon ${couponId} has ${quantity}; a campaign has at most ${maximum}`
  }
) {}

/** The caller has no user coupon with this id. Another user's gives the same answer, so that its existence stays hidden. */
export class UserCouponNotFound extends domainError<UserCouponNotFound>()(
  "UserCouponNotFound",
  {
    /** The id that was asked for. */
    userCouponId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ userCouponId }) => `the caller has no coupon ${userCouponId}` }
) {}

/** Another order uses the user coupon. Cancelling that order makes it available again. */
export class CouponAlreadyUsed extends domainError<CouponAlreadyUsed>()(
  "CouponAlreadyUsed",
  {
    /** The user coupon. */
    userCouponId: UserCouponId,
    /** The order that uses it. */
    orderId: OrderId
  },
  {
    code: "CONFLICT",
    message: ({ orderId, userCouponId }) => `coupon ${userCouponId} is used for order ${orderId}`
  }
) {}

/** The user coupon is no longer valid. */
export class CouponExpired extends domainError<CouponExpired>()(
  "CouponExpired",
  {
    /** The user coupon. */
    userCouponId: UserCouponId,
    /** Since when it is no longer valid. */
    expiredAt: Moment
  },
  {
    code: "PRECONDITION_FAILED",
    message: ({ expiredAt, userCouponId }) => `coupon ${userCouponId} expired at ${expiredAt.toISOString()}`
  }
) {}

/** The goods cost less than the user coupon requires. */
export class CouponMinimumNotMet extends domainError<CouponMinimumNotMet>()(
  "CouponMinimumNotMet",
  {
    /** The user coupon. */
    userCouponId: UserCouponId,
    /** What the goods cost, in minor units. */
    priceMinor: Schema.Int,
    /** What they would have to cost, in minor units. */
    minimumMinor: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ minimumMinor, priceMinor, userCouponId }) =>
      `the goods cost ${priceMinor}; coupon ${userCouponId} needs ${minimumMinor}`
  }
) {}

/** The user coupon would take off more than half of the goods' price. */
export class CouponDiscountTooLarge extends domainError<CouponDiscountTooLarge>()(
  "CouponDiscountTooLarge",
  {
    /** The user coupon. */
    userCouponId: UserCouponId,
    /** What it would take off, in minor units. */
    discountMinor: Schema.Int,
    /** Half of the goods' price, in minor units. */
    maximumMinor: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ discountMinor, maximumMinor, userCouponId }) =>
      `coupon ${userCouponId} takes ${discountMinor} off; half of these goods is ${maximumMinor}`
  }
) {}

/** The caller has no ticket with this id. */
export class TicketNotFound extends domainError<TicketNotFound>()(
  "TicketNotFound",
  {
    /** The id that was asked for. */
    ticketId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ ticketId }) => `the caller has no ticket ${ticketId}` }
) {}
