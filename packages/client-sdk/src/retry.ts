import type { ProcedureKind } from "@holdfast/domain"
import { type AnyFailure, TransportError } from "./errors.ts"

/** How a client retries failed requests. Durations are in milliseconds. */
export interface RetryPolicy {
  /** How many requests of a call may fail. `RequestInProgress` does not count as a failure. */
  readonly maxAttempts: number
  /** The upper bound of the first random delay. It doubles with every further retry. */
  readonly baseDelayMs: number
  /** The limit of the doubling. The server may still ask for a longer delay. */
  readonly maxDelayMs: number
  /** How long one request may take before it is abandoned. */
  readonly attemptTimeoutMs: number
}

/** The policy of a client that is given none. */
export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 5,
  baseDelayMs: 100,
  maxDelayMs: 5000,
  attemptTimeoutMs: 10_000
}

type Failure = AnyFailure

/**
 * Whether retrying the request is safe and may help. If the server answered, its verdict decides. Without an answer,
 * queries and mutations (which carry a key) are retried, and actions only if the server has not seen the request.
 */
export const mayRetry = (kind: ProcedureKind, error: Failure): boolean =>
  error.retryable && !(kind === "action" && error instanceof TransportError && error.maybeSent)

/**
 * Whether a failed request counts against `maxAttempts`. `RequestInProgress` means that an earlier request of this
 * call is about to be answered, so only the deadline limits the wait for it. Without retries it is reported at once.
 */
export const spendsAttempt = (maxAttempts: number, error: Failure): boolean =>
  maxAttempts === 1 || error._tag !== "RequestInProgress"

/**
 * The delay before the next attempt, in milliseconds: exponential backoff with full jitter (Brooker, "Exponential
 * Backoff and Jitter", AWS 2015) in addition to what the server asked for. The jitter avoids lockstep.
 */
export const delayMs = (policy: RetryPolicy, attempts: number, error: Failure): number => {
  const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempts - 1))
  return Math.round((error.retryAfterMs ?? 0) + Math.random() * ceiling)
}
