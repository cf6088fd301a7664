import type { DomainError, ProcedureKind } from "@holdfast/domain"
import { Effect, Random } from "effect"
import { type RemoteDefect, TransportError } from "./errors.ts"

/** How a client repeats what did not get its answer. */
export interface RetryPolicy {
  /** How many requests of one call may fail; being told that its earlier request is in progress is no failure. */
  readonly maxAttempts: number
  /** The first retry comes after a random part of this; every further one doubles it. */
  readonly baseDelayMs: number
  /** Never longer than this, unless the server asks for more. */
  readonly maxDelayMs: number
  /** How long one request may take before it counts as lost. */
  readonly attemptTimeoutMs: number
}

export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 5,
  baseDelayMs: 100,
  maxDelayMs: 5000,
  attemptTimeoutMs: 10_000
}

type Failure = DomainError | TransportError | RemoteDefect

/**
 * Whether sending the same request again is safe and may help. The server's own verdict decides where there is one.
 * Where no answer came: a query reads only and a mutation carries its key, but an action must not run twice, so it is
 * repeated only when the server never saw it.
 */
export const mayRetry = (kind: ProcedureKind, error: Failure): boolean =>
  error.retryable && !(kind === "action" && error instanceof TransportError && error.maybeSent)

/**
 * Whether a failed request counts against `maxAttempts`. `RequestInProgress` says that an earlier request of this call,
 * whose reply was lost, is at work: its answer is near, and giving up would leave the caller without it. Such waiting
 * is bounded by the call's deadline alone. Who wants no retries is told at once.
 */
export const spendsAttempt = (maxAttempts: number, error: Failure): boolean =>
  maxAttempts === 1 || error._tag !== "RequestInProgress"

/**
 * How long to wait before the next attempt: exponential with full jitter (Brooker, "Exponential Backoff and Jitter",
 * AWS 2015), on top of what the server asked for, so that callers who were sent away together do not return together.
 */
export const delayMs = (policy: RetryPolicy, attempts: number, error: Failure): Effect.Effect<number> => {
  const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempts - 1))
  return Effect.map(Random.next, (random) => Math.round((error.retryAfterMs ?? 0) + random * ceiling))
}
