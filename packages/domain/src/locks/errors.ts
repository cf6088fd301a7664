import { Schema } from "effect"

/** The caller stood in line for as long as the scope allows and did not get the lock. Nothing was done. */
export class LockTimeout extends Schema.TaggedError<LockTimeout>()("LockTimeout", {
  scope: Schema.String,
  key: Schema.String,
  waitedMs: Schema.Int,
  /** Who held the lock at the end (`host:pid:…`, or the identifier of a plain redis-semaphore client); null: unknown. */
  holder: Schema.NullOr(Schema.String),
  /** The caller's place in line at the end, 1 is the next; null: unknown. */
  placeInLine: Schema.NullOr(Schema.Int)
}) {
  static readonly code = "SERVICE_UNAVAILABLE"
  readonly retryable = true
  override get message() {
    const place = this.placeInLine === null ? "" : `, ${this.placeInLine} in line`
    return `lock ${this.scope} on ${this.key}: not free after ${this.waitedMs} ms${place}, held by ${this.holder ?? "somebody unknown"}`
  }
}

/** The same caller's earlier request is still being worked on. Ask again: the answer is then there. */
export class RequestInProgress extends Schema.TaggedError<RequestInProgress>()("RequestInProgress", {
  scope: Schema.String,
  retryAfterMs: Schema.Int
}) {
  static readonly code = "CONFLICT"
  readonly retryable = true
  override get message() {
    return `an earlier request of ${this.scope} is in progress; try again in ${this.retryAfterMs} ms`
  }
}

/**
 * The lock ended under its holder, who was stopped before that could do harm: its lease could not be renewed in time
 * (`lease`), or the key vanished or belongs to somebody else (`taken`).
 */
export class LockLost extends Schema.TaggedError<LockLost>()("LockLost", {
  scope: Schema.String,
  key: Schema.String,
  reason: Schema.Literals(["lease", "taken"])
}) {
  static readonly code = "SERVICE_UNAVAILABLE"
  readonly retryable = true
  override get message() {
    const why = this.reason === "lease" ? "could not be renewed in time" : "was taken away"
    return `lock ${this.scope} on ${this.key} ${why}; the work under it was stopped`
  }
}

/** A later holder of the lock has been at the database before: this transaction came too late and was rolled back. */
export class FenceStale extends Schema.TaggedError<FenceStale>()("FenceStale", {
  scope: Schema.String,
  key: Schema.String,
  token: Schema.Int,
  /** The token of the later holder. */
  latestToken: Schema.Int
}) {
  static readonly code = "SERVICE_UNAVAILABLE"
  readonly retryable = true
  override get message() {
    return `lock ${this.scope} on ${this.key}: token ${this.token} is behind ${this.latestToken}; the transaction was rolled back`
  }
}
