import * as Schema from "effect/Schema"
import { domainError } from "../kernel/error.ts"

// Pure: no procedure declares the errors of locks alone, so that a page without them can leave them out.

/** The caller waited as long as the scope allows and did not get the lock. Nothing was done. */
export class LockTimeout
  extends /* @__PURE__ */ domainError<LockTimeout>()(
    "LockTimeout",
    {
      /** What is locked, in the shop's words. */
      scope: Schema.String,
      /** The key of the lock. */
      key: Schema.String,
      /** How long the caller waited, in milliseconds. */
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
  {
    /** What the earlier request holds, in the shop's words. */
    scope: Schema.String,
    /** When a retry may help, in milliseconds from now. */
    retryAfterMs: Schema.Int
  },
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
export class LockLost
  extends /* @__PURE__ */ domainError<LockLost>()(
    "LockLost",
    {
      /** What is locked, in the shop's words. */
      scope: Schema.String,
      /** The key of the lock. */
      key: Schema.String,
      /** Why it was lost. */
      reason: Schema.Literals(["lease", "taken"])
    },
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
export class FenceStale
  extends /* @__PURE__ */ domainError<FenceStale>()(
    "FenceStale",
    {
      /** What is locked, in the shop's words. */
      scope: Schema.String,
      /** The key of the lock. */
      key: Schema.String,
      /** The fence of the lock that was lost. */
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
