import { Schema } from "effect"

/** The request does not have the shape that the procedure takes. Each issue names the field by its path. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", {
  issues: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String }))
}) {
  static readonly code = "BAD_REQUEST"
  readonly retryable = false
  override get message() {
    return this.issues.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`)).join("; ")
  }
}

/** The idempotency key was used before, for another input. Make a new key for a new request. */
export class IdempotencyKeyReused extends Schema.TaggedError<IdempotencyKeyReused>()("IdempotencyKeyReused", {
  idempotencyKey: Schema.String
}) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `the idempotency key ${this.idempotencyKey} belongs to another input`
  }
}

/** A store is out of reach or overloaded. Whether the request took effect is settled by sending it again, same key. */
export class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>()("ServiceUnavailable", {
  retryAfterMs: Schema.Int
}) {
  static readonly code = "SERVICE_UNAVAILABLE"
  readonly retryable = true
  override get message() {
    return `the service is busy or out of reach; try again in ${this.retryAfterMs} ms`
  }
}
