import * as Schema from "effect/Schema"
import { domainError } from "../kernel/error.ts"

/** The caller waited as long as the scope allows and did not get the lock. Nothing was done. */
export class LockTimeout extends domainError<LockTimeout>()(
  "LockTimeout",
  {
    scope: Schema.String,
    key: Schema.String,
    waitedMs: Schema.Int,
    /** The last known holder (`host:pid:…`, or the identifier of a plain redis-semaphore client); null if unknown. */
    holder: Schema.NullOr(Schema.String),
    /** The caller's last known position in the queue, where 1 is next; null if unknown. */
    placeInLine: Schema.NullOr(Schema.Int)
  },
  {
    code: "SERVICE_UNAVAILABLE",
    retryable: true,
    message: ({ holder, key, placeInLine, scope, waitedMs }) => {
      const place = placeInLine === null ? "" : `, ${placeInLine} in line`
      return `lock ${scope} on ${key}: not free after ${waitedMs} ms${place}, held by ${holder ?? "somebody unknown"}`
    }
  }
) {}

/** An earlier request of the same caller is still in progress. A retry receives its answer. */
export class RequestInProgress extends domainError<RequestInProgress>()(
  "RequestInProgress",
  { scope: Schema.String, retryAfterMs: Schema.Int },
  {
    code: "CONFLICT",
    retryable: true,
    message: ({ retryAfterMs, scope }) =>
      `an earlier request of ${scope} is in progress; try again in ${retryAfterMs} ms`
  }
) {}

/**
 * The lock was lost while its holder worked, and the holder was interrupted before it could do harm. Either the lease
 * could not be renewed in time (`lease`), or the key vanished or has another holder (`taken`).
 */
export class LockLost extends domainError<LockLost>()(
  "LockLost",
  { scope: Schema.String, key: Schema.String, reason: Schema.Literals(["lease", "taken"]) },
  {
    code: "SERVICE_UNAVAILABLE",
    retryable: true,
    message: ({ key, reason, scope }) => {
      const why = reason === "lease" ? "could not be renewed in time" : "was taken away"
      return `lock ${scope} on ${key} ${why}; the work under it was stopped`
    }
  }
) {}

/** A later holder of the lock has already written to the database, so this transaction was rolled back. */
export class FenceStale extends domainError<FenceStale>()(
  "FenceStale",
  {
    scope: Schema.String,
    key: Schema.String,
    token: Schema.Int,
    /** The fencing token of the later holder. */
    latestToken: Schema.Int
  },
  {
    code: "SERVICE_UNAVAILABLE",
    retryable: true,
    message: ({ key, latestToken, scope, token }) =>
      `lock ${scope} on ${key}: token ${token} is behind ${latestToken}; the transaction was rolled back`
  }
) {}
