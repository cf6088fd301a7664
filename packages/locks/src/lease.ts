/** What the leases of all backends do alike. */
import { Effect, Schedule, type Scope } from "effect"
import type { Lease, ReleaseOutcome, StoreUnavailable } from "./backend.ts"

export interface LeaseParts {
  readonly key: string
  readonly holder: string
  readonly token?: number
  /** When the lease ends that was acquired. */
  readonly endsAtMs: number
  /** How long the lease lasts from the moment before a renewal was sent. */
  readonly renewedForMs: number
  /** Renews once. `false`: the holder does not have the key any more. */
  readonly renew: Effect.Effect<boolean, StoreUnavailable>
  /** Releases once. */
  readonly release: (endsAtMs: number) => Effect.Effect<ReleaseOutcome, StoreUnavailable>
  /** What to do when the store did not confirm the release. */
  readonly abandon: Effect.Effect<void>
}

/** A lease with its local clock. */
export const makeLease = (parts: LeaseParts): Lease => {
  const { abandon, holder, key, renewedForMs, token } = parts
  let { endsAtMs } = parts
  return {
    key,
    holder,
    token,
    endsAtMs: () => endsAtMs,
    renew: Effect.suspend(() => {
      const sentAtMs = performance.now()
      return Effect.map(parts.renew, (isHeld) => {
        if (!isHeld) return "lost"
        endsAtMs = sentAtMs + renewedForMs
        return "renewed"
      })
    }),
    release: Effect.suspend(() => parts.release(endsAtMs)).pipe(
      Effect.catch(() => Effect.as(abandon, { _tag: "Overrun", reason: "unconfirmed" } as const))
    )
  }
}

const RETRY_EVERY_MS = 200

/** Repeats a cleanup in the background until it succeeds, for as long as a lease could last. */
export const retryInBackground = (
  cleanup: Effect.Effect<unknown, StoreUnavailable>,
  leaseMs: number,
  scope: Scope.Scope
): Effect.Effect<void> =>
  cleanup.pipe(
    Effect.retry(Schedule.spaced(RETRY_EVERY_MS)),
    Effect.timeoutOption(leaseMs),
    Effect.forkIn(scope),
    Effect.asVoid
  )
