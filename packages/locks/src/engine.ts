import { LockTimeout, type LockScope, RequestInProgress, ServiceUnavailable } from "@holdfast/domain/locks"
import { Effect } from "effect"
import type {
  AcquireRefusal,
  Lease,
  LockBackend,
  LockBusy,
  LockRequest,
  LockWaitTimeout,
  ReleaseOutcome,
  Restore
} from "./backend.ts"
import { type LockMetrics, metricsOf } from "./metrics.ts"

export type AcquireFailure = LockTimeout | RequestInProgress | ServiceUnavailable

/** Acquires and releases leases: in the store while it answers, else by the fallback of the scope. */
export interface LockEngine {
  readonly acquire: (
    scope: LockScope,
    key: string,
    waitUntilMs: number | undefined,
    restore: Restore
  ) => Effect.Effect<Lease, AcquireFailure>
  readonly release: (scope: LockScope, lease: Lease, acquiredAtMs: number) => Effect.Effect<ReleaseOutcome>
}

/** The answer to a caller whose store is away. */
export const storeAway = () => new ServiceUnavailable({ retryAfterMs: 250 })

/** When to come back while an earlier request is in progress: the time of a usual request, with a margin. */
const BUSY_RETRY_AFTER_MS = 100

export interface LockEngineParts {
  readonly mutexes: LockBackend
  /** The backend of counting semaphores; scopes with more than one permit need it. */
  readonly semaphores: LockBackend | undefined
  /** The named locks of the database; scopes that fall back to them need it. */
  readonly namedLocks: LockBackend | undefined
}

export const makeLockEngine = ({ mutexes, namedLocks, semaphores }: LockEngineParts): LockEngine => {
  const acquire: LockEngine["acquire"] = (scope, key, waitUntilMs, restore) => {
    const { leaseMs, permits } = scope.policy
    const request: LockRequest = { scope: scope.name, key, leaseMs, permits, waitUntilMs }
    const metrics = metricsOf(scope.name)
    const startedAtMs = performance.now()
    const store = permits > 1 ? semaphores : mutexes
    const fallback = () => acquireWithoutStore(scope, request, metrics, restore)
    const attempt =
      store === undefined || !store.isUp()
        ? fallback()
        : Effect.catchTags(store.acquire(request, restore), {
            RedisUnavailable: (error) =>
              error.everywhere
                ? fallback()
                : Effect.andThen(
                    Effect.logWarning("locks: Redis refused a command", error.message),
                    fallback
                  ),
            NamedLocksUnavailable: fallback
          })
    return metrics.waiting(Effect.mapError(attempt, (refusal) => failureOf(request, startedAtMs, refusal)))
  }

  /** Lets the database decide: later than Redis would, with the same result. */
  const acquireWithoutStore = (
    scope: LockScope,
    request: LockRequest,
    metrics: LockMetrics,
    restore: Restore
  ) =>
    Effect.suspend((): Effect.Effect<Lease, AcquireRefusal | ServiceUnavailable> => {
      if (scope.policy.fallback === "proceed") return Effect.as(metrics.fellBack, unguarded(request.key))
      if (scope.policy.fallback === "fail" || namedLocks === undefined) return Effect.fail(storeAway())
      return Effect.andThen(metrics.fellBack, namedLocks.acquire(request, restore))
    })

  const release: LockEngine["release"] = (scope, lease, acquiredAtMs) =>
    Effect.tap(lease.release, (outcome) =>
      metricsOf(scope.name).ended(outcome, performance.now() - acquiredAtMs)
    )

  return { acquire, release }
}

/** What the caller is told. */
const failureOf = (
  { key, scope }: LockRequest,
  startedAtMs: number,
  refusal: AcquireRefusal | ServiceUnavailable
): AcquireFailure => {
  switch (refusal._tag) {
    case "LockBusy":
      return new RequestInProgress({ scope, retryAfterMs: retryAfterMs(refusal) })
    case "LockWaitTimeout":
      return timeoutOf(scope, key, startedAtMs, refusal)
    default:
      return storeAway()
  }
}

const timeoutOf = (
  scope: string,
  key: string,
  startedAtMs: number,
  { holder, placeInLine }: LockWaitTimeout
): LockTimeout => {
  const waitedMs = Math.round(performance.now() - startedAtMs)
  return new LockTimeout({ scope, key, holder, placeInLine, waitedMs })
}

const retryAfterMs = ({ leaseLeftMs }: LockBusy): number =>
  leaseLeftMs > 0 ? Math.min(Math.ceil(leaseLeftMs), BUSY_RETRY_AFTER_MS) : BUSY_RETRY_AFTER_MS

/** No lock at all, where the database's own constraints decide. */
const unguarded = (key: string): Lease => ({
  key,
  holder: "none",
  token: undefined,
  endsAtMs: () => Number.POSITIVE_INFINITY,
  renew: Effect.succeed("renewed"),
  release: Effect.succeed({ _tag: "Released", handedOver: false })
})
