import * as Schema from "effect/Schema"
import { domainError } from "./kernel/error.ts"
import { OrderId, UserId } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { Points } from "./kernel/money.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { mutation, query } from "./kernel/procedure.ts"
import { plainText } from "./kernel/text.ts"

/** The most points that one grant or top-up may add. */
export const MAXIMUM_GRANT = 1_000_000_000_000

const addedPoints = Schema.Int.check(
  Schema.isBetween(
    { minimum: 1, maximum: MAXIMUM_GRANT },
    { message: `must be a whole number from 1 to ${MAXIMUM_GRANT}` }
  )
)

/** An account's balance in points. */
export const Balance = Schema.Struct({
  /** The points in the account. */
  balance: Points
}).annotate({
  identifier: "Balance"
})

/** Why points moved: a `grant` or a top-up (`charge`) adds, a `payment` debits, a `refund` returns a payment's points. */
export const PointMovementKind = Schema.Literals(["grant", "charge", "payment", "refund"])
export type PointMovementKind = typeof PointMovementKind.Type

/** One entry of an account's ledger. */
export const PointMovement = Schema.Struct({
  /** Why the points moved. */
  kind: PointMovementKind,
  /** The change of the balance; negative for a debit. */
  delta: Schema.Int,
  /** The balance after the change. */
  balanceAfter: Points,
  /** The order that was paid or refunded. */
  orderId: Schema.optionalKey(OrderId),
  /** The reason that the administrator gave for a grant. */
  reason: Schema.optionalKey(Schema.String),
  /** When the points moved. */
  createdAt: Moment
}).annotate({ identifier: "PointMovement" })
export type PointMovement = typeof PointMovement.Type

/** The balance is lower than the payment requires. Nothing was debited. */
export class InsufficientPoints extends domainError<InsufficientPoints>()(
  "InsufficientPoints",
  {
    /** The points that the payment needs. */
    required: Schema.Int,
    /** The points in the account. */
    available: Schema.Int
  },
  {
    code: "CONFLICT",
    message: ({ available, required }) => `${required} points needed, ${available} there`
  }
) {}

/** This shop takes no top-ups: points come by grants alone. */
export class ChargesDisabled extends domainError<ChargesDisabled>()(
  "ChargesDisabled",
  {},
  { code: "FORBIDDEN", message: () => "this shop takes no top-ups" }
) {}

/** No user has this id. */
export class UserNotFound extends domainError<UserNotFound>()(
  "UserNotFound",
  {
    /** The id that was asked for. */
    userId: Schema.String
  },
  { code: "NOT_FOUND", message: ({ userId }) => `there is no user ${userId}` }
) {}

/** The grant or top-up would raise the balance above the safe integers. Nothing was added. */
export class BalanceLimitExceeded extends domainError<BalanceLimitExceeded>()(
  "BalanceLimitExceeded",
  {
    /** The points in the account. */
    balance: Schema.Int,
    /** The most points that an account may have. */
    maximum: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ balance, maximum }) => `the balance is ${balance} points; an account holds at most ${maximum}`
  }
) {}

/** The shop's policy does not allow a top-up of this amount: too low, too high, or not a multiple of the step. */
export class ChargeAmountNotAllowed extends domainError<ChargeAmountNotAllowed>()(
  "ChargeAmountNotAllowed",
  {
    /** The points that were asked for. */
    amount: Schema.Int,
    /** Which rule the amount breaks. */
    limit: Schema.Literals(["minimum", "maximum", "step"]),
    /** The fewest points of one top-up. */
    minimum: Schema.Int,
    /** The most points of one top-up. */
    maximum: Schema.Int,
    /** What the points must be a multiple of. */
    step: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ amount, maximum, minimum, step }) =>
      `${amount} points; a charge is ${minimum} to ${maximum} in steps of ${step}`
  }
) {}

/** The account has been topped up as often as the shop allows for this day or month (UTC). Nothing was added. */
export class ChargeLimitExceeded extends domainError<ChargeLimitExceeded>()(
  "ChargeLimitExceeded",
  {
    /** Whether the limit of the day or of the month is reached. */
    limit: Schema.Literals(["day", "month"]),
    /** How often an account may be topped up in that time. */
    maximum: Schema.Int,
    /** The earliest time of the next top-up. */
    resetsAt: Moment
  },
  {
    code: "TOO_MANY_REQUESTS",
    message: ({ limit, maximum, resetsAt }) =>
      `an account is charged at most ${maximum} times a ${limit}; again from ${resetsAt.toISOString()}`
  }
) {}

/** The procedures of the group `points`. */
export const points = {
  /** Returns the caller's balance. */
  balance: query({
    access: "user",
    input: Schema.Struct({}),
    output: Balance,
    errors: []
  }),
  /**
   * Tops up the caller's balance within the shop's policy, which limits the amount and the number of top-ups per day
   * and month.
   */
  charge: mutation({
    access: "user",
    input: Schema.Struct({
      /** How many points to add. */
      amount: addedPoints
    }),
    output: Balance,
    errors: [ChargesDisabled, ChargeAmountNotAllowed, ChargeLimitExceeded, BalanceLimitExceeded]
  }),
  /** Returns a page of the caller's ledger, newest movement first. */
  history: query({
    access: "user",
    input: Schema.Struct(pageInput),
    output: pageOf(PointMovement),
    errors: []
  })
}

/** The procedures on points in the group `admin`. */
export const pointsAdmin = {
  /** Grants points to a user, with a reason that the ledger records. */
  grantPoints: mutation({
    access: "admin",
    input: Schema.Struct({
      /** Who receives them. */
      userId: UserId,
      /** How many points to add. */
      amount: addedPoints,
      /** Why, for the ledger. */
      reason: plainText(200)
    }),
    output: Balance,
    errors: [UserNotFound, BalanceLimitExceeded]
  })
}
