import { Schema } from "effect"

/** The request carries no token, or one that is not valid (any more). Log in or refresh, then ask again. */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", {
  reason: Schema.Literals(["missing", "malformed", "invalid", "expired"])
}) {
  static readonly code = "UNAUTHORIZED"
  readonly retryable = false
  override get message() {
    return `the access token is ${this.reason}`
  }
}

/** The caller is known, but the procedure needs a role that the caller does not have. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { requiredRole: Schema.String }) {
  static readonly code = "FORBIDDEN"
  readonly retryable = false
  override get message() {
    return `this needs the role ${this.requiredRole}`
  }
}

/** E-mail and password do not belong together. Says no more, so that nobody learns which e-mails exist. */
export class InvalidCredentials extends Schema.TaggedError<InvalidCredentials>()("InvalidCredentials", {}) {
  static readonly code = "UNAUTHORIZED"
  readonly retryable = false
  override get message() {
    return "the e-mail or the password is wrong"
  }
}

/** Somebody signed up with this e-mail before. */
export class EmailTaken extends Schema.TaggedError<EmailTaken>()("EmailTaken", { email: Schema.String }) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `${this.email} is registered already`
  }
}
