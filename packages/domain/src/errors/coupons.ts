import { Schema } from "effect"
import { UserCoupon } from "../coupons.ts"
import { CouponId, OrderId, UserCouponId } from "../ids.ts"

/** No campaign has this id. */
export class CouponNotFound extends Schema.TaggedError<CouponNotFound>()("CouponNotFound", {
  couponId: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `there is no coupon ${this.couponId}`
  }
}

/** The campaign issues its coupons from a later moment on. */
export class CouponNotStarted extends Schema.TaggedError<CouponNotStarted>()("CouponNotStarted", {
  couponId: CouponId,
  startsAt: Schema.DateFromString
}) {
  static readonly code = "PRECONDITION_FAILED"
  readonly retryable = false
  override get message() {
    return `coupon ${this.couponId} is issued from ${this.startsAt.toISOString()} on`
  }
}

/** The campaign is over. */
export class CouponEnded extends Schema.TaggedError<CouponEnded>()("CouponEnded", {
  couponId: CouponId,
  endedAt: Schema.DateFromString
}) {
  static readonly code = "PRECONDITION_FAILED"
  readonly retryable = false
  override get message() {
    return `coupon ${this.couponId} was issued until ${this.endedAt.toISOString()}`
  }
}

/** An administrator has paused the campaign. */
export class CouponPaused extends Schema.TaggedError<CouponPaused>()("CouponPaused", {
  couponId: CouponId
}) {
  static readonly code = "PRECONDITION_FAILED"
  readonly retryable = false
  override get message() {
    return `coupon ${this.couponId} is paused`
  }
}

/** Every coupon of the campaign belongs to somebody. */
export class CouponSoldOut extends Schema.TaggedError<CouponSoldOut>()("CouponSoldOut", {
  couponId: CouponId,
  quantity: Schema.Int
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `all ${this.quantity} of coupon ${this.couponId} are issued`
  }
}

/** The user has this coupon already: here it is. */
export class CouponAlreadyIssued extends Schema.TaggedError<CouponAlreadyIssued>()("CouponAlreadyIssued", {
  coupon: UserCoupon
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `coupon ${this.coupon.couponId} was issued to this user at ${this.coupon.issuedAt.toISOString()}`
  }
}

/** The campaign would have more coupons than a campaign may have. */
export class CouponQuantityExceeded extends Schema.TaggedError<CouponQuantityExceeded>()(
  "CouponQuantityExceeded",
  { couponId: CouponId, quantity: Schema.Int, maximum: Schema.Int }
) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `coupon ${this.couponId} has ${this.quantity}; a campaign has at most ${this.maximum}`
  }
}

/** The caller has no coupon with this id. Another user's coupon answers the same, so nobody learns that it exists. */
export class UserCouponNotFound extends Schema.TaggedError<UserCouponNotFound>()("UserCouponNotFound", {
  userCouponId: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `the caller has no coupon ${this.userCouponId}`
  }
}

/** The coupon is used for another order. It comes back when that order is cancelled. */
export class CouponAlreadyUsed extends Schema.TaggedError<CouponAlreadyUsed>()("CouponAlreadyUsed", {
  userCouponId: UserCouponId,
  orderId: OrderId
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `coupon ${this.userCouponId} is used for order ${this.orderId}`
  }
}

/** The time in which the user could use the coupon is over. */
export class CouponExpired extends Schema.TaggedError<CouponExpired>()("CouponExpired", {
  userCouponId: UserCouponId,
  expiredAt: Schema.DateFromString
}) {
  static readonly code = "PRECONDITION_FAILED"
  readonly retryable = false
  override get message() {
    return `coupon ${this.userCouponId} expired at ${this.expiredAt.toISOString()}`
  }
}

/** The goods cost less than the coupon asks for. */
export class CouponMinimumNotMet extends Schema.TaggedError<CouponMinimumNotMet>()("CouponMinimumNotMet", {
  userCouponId: UserCouponId,
  priceMinor: Schema.Int,
  minimumMinor: Schema.Int
}) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `the goods cost ${this.priceMinor}; coupon ${this.userCouponId} needs ${this.minimumMinor}`
  }
}

/** The coupon would pay more than half of the goods. */
export class CouponDiscountTooLarge extends Schema.TaggedError<CouponDiscountTooLarge>()(
  "CouponDiscountTooLarge",
  { userCouponId: UserCouponId, discountMinor: Schema.Int, maximumMinor: Schema.Int }
) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `coupon ${this.userCouponId} takes ${this.discountMinor} off; half of these goods is ${this.maximumMinor}`
  }
}

/** The caller has no ticket with this id. */
export class TicketNotFound extends Schema.TaggedError<TicketNotFound>()("TicketNotFound", {
  ticketId: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `the caller has no ticket ${this.ticketId}`
  }
}
