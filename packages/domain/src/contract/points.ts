import { Schema } from "effect"
import { BalanceLimitExceeded, UserNotFound } from "../errors/points.ts"
import { UserId } from "../ids.ts"
import { Points } from "../money.ts"
import { mutation, query } from "./procedure.ts"
import { plainText } from "./shared.ts"

/** The most that one grant may add. */
export const MAXIMUM_GRANT = 1_000_000_000_000

export const Balance = Schema.Struct({ balance: Points })

export const points = {
  balance: query({
    access: "user",
    summary: "The caller's balance.",
    input: Schema.Struct({}),
    output: Balance,
    errors: []
  }),
  grant: mutation({
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
