import { Schema } from "effect"
import {
  BalanceLimitExceeded,
  ChargeAmountNotAllowed,
  ChargeLimitExceeded,
  UserNotFound
} from "../errors/points.ts"
import { OrderId, UserId } from "../ids.ts"
import { Points } from "../money.ts"
import { mutation, query } from "./procedure.ts"
import { pageInput, pageOf, plainText } from "./shared.ts"

/** The most that one grant may add. */
export const MAXIMUM_GRANT = 1_000_000_000_000

export const Balance = Schema.Struct({ balance: Points })

/** Why points moved: `charge` and `grant` add, `payment` takes, `refund` gives a cancelled order's points back. */
export const PointMovementKind = Schema.Literals(["grant", "charge", "payment", "refund"])
export type PointMovementKind = typeof PointMovementKind.Type

/** One line of an account's ledger. */
export const PointMovement = Schema.Struct({
  kind: PointMovementKind,
  /** What was added, or taken when it is below 0. */
  delta: Schema.Int,
  balanceAfter: Points,
  /** The order that was paid or refunded. */
  orderId: Schema.optionalKey(OrderId),
  /** What the administrator wrote who granted the points. */
  reason: Schema.optionalKey(Schema.String),
  createdAt: Schema.DateFromString
})
export type PointMovement = typeof PointMovement.Type

export const points = {
  balance: query({
    access: "user",
    summary: "The caller's balance.",
    input: Schema.Struct({}),
    output: Balance,
    errors: []
  }),
  charge: mutation({
    access: "user",
    summary:
      "Buys points, within the shop's policy: an amount from a minimum to a maximum in steps, so often a day and a month.",
    input: Schema.Struct({
      amount: Schema.Int.check(
        Schema.isBetween(
          { minimum: 1, maximum: MAXIMUM_GRANT },
          { message: `must be a whole number from 1 to ${MAXIMUM_GRANT}` }
        )
      )
    }),
    output: Balance,
    errors: [ChargeAmountNotAllowed, ChargeLimitExceeded, BalanceLimitExceeded]
  }),
  history: query({
    access: "user",
    summary: "A page of the caller's ledger, the newest movement first.",
    input: Schema.Struct(pageInput),
    output: pageOf(PointMovement),
    errors: []
  })
}

/** For administrators alone. */
export const pointsAdmin = {
  grantPoints: mutation({
    access: "admin",
    summary: "Gives a user points, with a reason that the ledger keeps.",
    input: Schema.Struct({
      userId: UserId,
      amount: Schema.Int.check(
        Schema.isBetween(
          { minimum: 1, maximum: MAXIMUM_GRANT },
          { message: `must be a whole number from 1 to ${MAXIMUM_GRANT}` }
        )
      ),
      reason: plainText(200)
    }),
    output: Balance,
    errors: [UserNotFound, BalanceLimitExceeded]
  })
}
