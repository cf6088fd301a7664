import { Schema } from "effect"

/** The account holds fewer points than are to be paid; nothing was debited. */
export class InsufficientPoints extends Schema.TaggedError<InsufficientPoints>()("InsufficientPoints", {
  required: Schema.Int,
  available: Schema.Int
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `${this.required} points needed, ${this.available} there`
  }
}

/** No user has this id. */
export class UserNotFound extends Schema.TaggedError<UserNotFound>()("UserNotFound", {
  userId: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `there is no user ${this.userId}`
  }
}

/** The grant would lift the balance past the numbers that are exact. */
export class BalanceLimitExceeded extends Schema.TaggedError<BalanceLimitExceeded>()("BalanceLimitExceeded", {
  balance: Schema.Int,
  maximum: Schema.Int
}) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `the balance is ${this.balance} points; an account holds at most ${this.maximum}`
  }
}

/** The shop's policy does not allow to charge this amount: too little, too much, or between two steps. */
export class ChargeAmountNotAllowed extends Schema.TaggedError<ChargeAmountNotAllowed>()(
  "ChargeAmountNotAllowed",
  {
    amount: Schema.Int,
    limit: Schema.Literals(["minimum", "maximum", "step"]),
    minimum: Schema.Int,
    maximum: Schema.Int,
    step: Schema.Int
  }
) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `${this.amount} points; a charge is ${this.minimum} to ${this.maximum} in steps of ${this.step}`
  }
}

/** The account was charged as often as the shop allows for this day or month (UTC); nothing was added. */
export class ChargeLimitExceeded extends Schema.TaggedError<ChargeLimitExceeded>()("ChargeLimitExceeded", {
  limit: Schema.Literals(["day", "month"]),
  maximum: Schema.Int,
  /** When the next charge is possible, at the earliest. */
  resetsAt: Schema.DateFromString
}) {
  static readonly code = "TOO_MANY_REQUESTS"
  readonly retryable = false
  override get message() {
    return `an account is charged at most ${this.maximum} times a ${this.limit}; again from ${this.resetsAt.toISOString()}`
  }
}
