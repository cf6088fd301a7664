import { randomUUID } from "node:crypto"
import { Effect, Schedule, type Scope } from "effect"
import { type LockOptions, Semaphore } from "redis-semaphore"
import type { RedisClient } from "../redis/client.ts"
import { call } from "../redis/call.ts"
import type { Lease, LockBackend, LockRequest, ReleaseOutcome, StoreAway } from "../backend.ts"
import { poll } from "../polling.ts"

/**
 * Counting semaphores: redis-semaphore's own, so they share keys and permits with its plain clients. They count leases
 * by the clocks of the callers, so those must agree to within a fraction of the lease; and nobody stands in line.
 */
export const semaphoreBackend = (
  client: RedisClient,
  answerWithinMs: number
): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => ({
    acquire: (request, restore) =>
      poll(takePermit({ client, answerWithinMs, scope }, request), request, restore),
    ping: Effect.asVoid(call(() => client.ping(), answerWithinMs)),
    list: () => Effect.succeed([])
  }))

interface Context {
  readonly client: RedisClient
  readonly answerWithinMs: number
  readonly scope: Scope.Scope
}

const takePermit = (context: Context, request: LockRequest): Effect.Effect<Lease | undefined, StoreAway> =>
  Effect.suspend(() => {
    const identifier = randomUUID()
    const sentAtMs = performance.now()
    const semaphore = semaphoreOf(context, request, { identifier, acquireAttemptsLimit: 1, retryInterval: 0 })
    return call(() => semaphore.tryAcquire(), context.answerWithinMs).pipe(
      Effect.map((taken) => (taken ? permitLease(context, request, identifier, sentAtMs) : undefined)),
      Effect.tapError(() => giveBackLater(context, request, identifier))
    )
  })

const semaphoreOf = (
  { client }: Context,
  { key, leaseMs, permits }: LockRequest,
  options: LockOptions
): Semaphore =>
  new Semaphore(client, key, permits, {
    lockTimeout: leaseMs,
    refreshInterval: 0,
    onLockLost: () => {},
    ...options
  })

const permitLease = (context: Context, request: LockRequest, identifier: string, startMs: number): Lease => {
  let endsAtMs = startMs + request.leaseMs
  const renew = Effect.suspend(() => {
    const sentAtMs = performance.now()
    const semaphore = semaphoreOf(context, request, { identifier, acquiredExternally: true })
    return Effect.map(
      call(() => semaphore.tryAcquire(), context.answerWithinMs),
      (isOurs) => {
        if (!isOurs) return "lost" as const
        endsAtMs = sentAtMs + request.leaseMs
        return "renewed" as const
      }
    )
  })
  const release = giveBack(context, request, identifier).pipe(
    Effect.map((removed): ReleaseOutcome =>
      removed === 1 ? { _tag: "Released", handedOver: false } : { _tag: "Overrun", reason: "vanished" }
    ),
    Effect.catch(() =>
      Effect.as(giveBackLater(context, request, identifier), {
        _tag: "Overrun",
        reason: "unconfirmed"
      } as const)
    )
  )
  return { key: request.key, holder: identifier, token: undefined, endsAtMs: () => endsAtMs, renew, release }
}

/** The number of permits given back. redis-semaphore's `release` does the same and does not say. */
const giveBack = ({ answerWithinMs, client }: Context, { key }: LockRequest, identifier: string) =>
  call(() => client.zrem(`semaphore:${key}`, identifier), answerWithinMs)

const giveBackLater = (context: Context, request: LockRequest, identifier: string): Effect.Effect<void> =>
  giveBack(context, request, identifier).pipe(
    Effect.retry(Schedule.spaced(200)),
    Effect.timeoutOption(request.leaseMs),
    Effect.forkIn(context.scope),
    Effect.asVoid
  )
