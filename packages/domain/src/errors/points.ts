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
