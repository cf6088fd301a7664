import { LockTimeout, type LockScope, RequestInProgress, ServiceUnavailable } from "@holdfast/domain/locks"
import { Effect } from "effect"
import type { Availability } from "./redis/breaker.ts"
import type {
  Lease,
  LockBackend,
  LockBusy,
  LockRequest,
  NotInTime,
  ReleaseOutcome,
  Restore
} from "./backend.ts"
import { type LockMetrics, metricsOf } from "./metrics.ts"

export type AcquireFailure = LockTimeout | RequestInProgress | ServiceUnavailable

/** Takes and gives back leases: by the store while it is there, else by what the scope falls back to. */
export interface LockEngine {
  readonly acquire: (
    scope: LockScope,
    key: string,
    waitUntilMs: number | undefined,
    restore: Restore
  ) => Effect.Effect<Lease, AcquireFailure>
  readonly release: (scope: LockScope, lease: Lease, acquiredAtMs: number) => Effect.Effect<ReleaseOutcome>
}

/** What a caller is told to wait when a store is away. */
const AWAY_RETRY_AFTER_MS = 250

/** What a caller is told to wait when an earlier request is in progress: what one takes, with a little to spare. */
const BUSY_RETRY_AFTER_MS = 100

export interface LockEngineParts {
  readonly backend: LockBackend
  /** The counting semaphores' backend; scopes with more than one permit need it. */
  readonly semaphores: LockBackend | undefined
  /** The named locks of the database; scopes that fall back to them need it. */
  readonly namedLocks: LockBackend | undefined
  readonly availability: Availability
}

export const makeLockEngine = ({
  availability,
  backend,
  namedLocks,
  semaphores
}: LockEngineParts): LockEngine => {
  const acquire: LockEngine["acquire"] = (scope, key, waitUntilMs, restore) => {
    const { leaseMs, permits } = scope.policy
    const request: LockRequest = { scope: scope.name, key, leaseMs, permits, waitUntilMs }
    const metrics = metricsOf(scope.name)
    const startedAtMs = performance.now()
    const store = permits > 1 ? semaphores : backend
    const fallBack = () => withoutStore(scope, request, metrics, restore)
    const attempt =
      store === undefined || !availability.isUp()
        ? fallBack()
        : store
            .acquire(request, restore)
            .pipe(
              Effect.catch((failure) =>
                failure._tag === "StoreAway"
                  ? Effect.andThen(availability.report(failure), fallBack())
                  : Effect.fail(failure)
              )
            )
    return metrics.waiting(Effect.mapError(attempt, (failure) => refusal(request, startedAtMs, failure)))
  }

  /** Redis is away: the database decides, later than Redis would have, but the same. */
  const withoutStore = (scope: LockScope, request: LockRequest, metrics: LockMetrics, restore: Restore) =>
    Effect.suspend(() => {
      const unavailable = Effect.fail(new ServiceUnavailable({ retryAfterMs: AWAY_RETRY_AFTER_MS }))
      if (scope.policy.fallback === "proceed") return Effect.as(metrics.fellBack, unguarded(request.key))
      if (scope.policy.fallback === "fail" || namedLocks === undefined) return unavailable
      return Effect.andThen(
        metrics.fellBack,
        Effect.catchTag(namedLocks.acquire(request, restore), "StoreAway", () => unavailable)
      )
    })

  const release: LockEngine["release"] = (scope, lease, acquiredAtMs) =>
    Effect.tap(lease.release, (outcome) =>
      metricsOf(scope.name).ended(outcome, performance.now() - acquiredAtMs)
    )

  return { acquire, release }
}

/** What the caller is told. */
const refusal = (
  { key, scope }: LockRequest,
  startedAtMs: number,
  failure: LockBusy | NotInTime | ServiceUnavailable
): AcquireFailure => {
  switch (failure._tag) {
    case "LockBusy":
      return new RequestInProgress({ scope, retryAfterMs: retryAfter(failure.leaseLeftMs) })
    case "NotInTime": {
      const { holder, placeInLine } = failure
      const waitedMs = Math.round(performance.now() - startedAtMs)
      return new LockTimeout({ scope, key, holder, placeInLine, waitedMs })
    }
    default:
      return failure
  }
}

const retryAfter = (leaseLeftMs: number): number =>
  leaseLeftMs > 0 ? Math.min(Math.ceil(leaseLeftMs), BUSY_RETRY_AFTER_MS) : BUSY_RETRY_AFTER_MS

/** No lock at all, where the database's own constraints decide. */
const unguarded = (key: string): Lease => ({
  key,
  holder: "nobody",
  token: undefined,
  endsAtMs: () => Number.POSITIVE_INFINITY,
  renew: Effect.succeed("renewed"),
  release: Effect.succeed({ _tag: "Released", handedOver: false })
})
