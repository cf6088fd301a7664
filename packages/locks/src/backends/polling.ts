import { randomUUID } from "node:crypto"
import { Effect, type Scope } from "effect"
import type { LockOptions } from "redis-semaphore"
import {
  type AcquireRefusal,
  type Lease,
  LockBusy,
  type LockBackend,
  type LockRequest,
  LockWaitTimeout,
  type ReleaseOutcome,
  type Restore
} from "../backend.ts"
import { makeLease, retryInBackground } from "../lease.ts"
import type { Breaker, RedisUnavailable } from "../redis/breaker.ts"

/** A lock of redis-semaphore that can only be tried, so waiters poll. */
export interface PollingStore extends Breaker {
  readonly answerWithinMs: number
  /** Makes redis-semaphore's lock object for one identifier. */
  readonly lockOf: (request: LockRequest, options: LockOptions) => { tryAcquire(): Promise<boolean> }
  /** Gives a lock back. `unknown`: the store does not say whether it was still held. */
  readonly giveBack: (request: LockRequest, identifier: string) => Promise<"held" | "vanished" | "unknown">
  /** How much earlier than the store's a lease ends here. */
  readonly driftMs: (leaseMs: number) => number
}

/** A backend without a queue, an inventory or tokens: under a fenced scope the database mints them. */
export const pollingBackend = (store: PollingStore): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => ({
    acquire: (request, restore) => poll(tryAcquire(store, scope, request), request, restore),
    isUp: store.isUp,
    list: () => Effect.succeed([])
  }))

/** One attempt. `undefined`: the lock is not free, or its lease was over before the answer came. */
const tryAcquire = (
  store: PollingStore,
  scope: Scope.Scope,
  request: LockRequest
): Effect.Effect<Lease | undefined, RedisUnavailable> =>
  Effect.suspend(() => {
    const identifier = randomUUID()
    const leaseMs = request.leaseMs - store.driftMs(request.leaseMs)
    const endsAtMs = performance.now() + leaseMs
    const giveBack = store.ask(() => store.giveBack(request, identifier), store.answerWithinMs)
    const giveBackLater = retryInBackground(giveBack, request.leaseMs, scope)
    const lockOf = (options: LockOptions) =>
      store.lockOf(request, {
        identifier,
        lockTimeout: request.leaseMs,
        refreshInterval: 0,
        onLockLost: () => {},
        ...options
      })
    const lock = lockOf({ acquireAttemptsLimit: 1, retryInterval: 0 })
    return store
      .ask(() => lock.tryAcquire(), store.answerWithinMs)
      .pipe(
        Effect.tapError(() => giveBackLater),
        Effect.flatMap((isAcquired) => {
          if (!isAcquired) return Effect.succeed(undefined)
          if (performance.now() >= endsAtMs) return Effect.as(giveBackLater, undefined)
          return Effect.succeed(
            makeLease({
              key: request.key,
              holder: identifier,
              endsAtMs,
              renewedForMs: leaseMs,
              renew: store.ask(() => lockOf({ acquiredExternally: true }).tryAcquire(), store.answerWithinMs),
              release: (until) => Effect.map(giveBack, (state) => outcomeOf(state, until)),
              abandon: giveBackLater
            })
          )
        })
      )
  })

const outcomeOf = (state: "held" | "vanished" | "unknown", endsAtMs: number): ReleaseOutcome => {
  if (state === "vanished") return { _tag: "Overrun", reason: "vanished" }
  return state === "held" || performance.now() < endsAtMs
    ? { _tag: "Released", handedOver: false }
    : { _tag: "Overrun", reason: "unconfirmed" }
}

const SHORTEST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 50

/**
 * Tries until the time is up, with pauses that grow and are jittered, to avoid lockstep. Interruption is restored only
 * during the pauses, so it never hits an attempt.
 */
const poll = (
  attempt: Effect.Effect<Lease | undefined, RedisUnavailable>,
  { waitUntilMs }: LockRequest,
  restore: Restore
): Effect.Effect<Lease, AcquireRefusal> => {
  const step = (pauseMs: number): Effect.Effect<Lease, AcquireRefusal> =>
    Effect.flatMap(attempt, (lease) => {
      if (lease !== undefined) return Effect.succeed(lease)
      if (waitUntilMs === undefined) return Effect.fail(new LockBusy({ holder: null, leaseLeftMs: 0 }))
      const leftMs = waitUntilMs - performance.now()
      if (leftMs <= 0) return Effect.fail(new LockWaitTimeout({ holder: null, placeInLine: null }))
      const jitteredMs = pauseMs * (0.5 + Math.random() / 2)
      return Effect.andThen(
        restore(Effect.sleep(Math.min(jitteredMs, leftMs))),
        step(Math.min(pauseMs * 2, LONGEST_PAUSE_MS))
      )
    })
  return step(SHORTEST_PAUSE_MS)
}
