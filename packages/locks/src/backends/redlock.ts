import { randomUUID } from "node:crypto"
import { Effect, Schedule, type Scope } from "effect"
import { type LockOptions, RedlockMutex } from "redis-semaphore"
import type { RedisClient } from "../redis/client.ts"
import { call } from "../redis/call.ts"
import { type Lease, type LockBackend, type LockRequest, type ReleaseOutcome, StoreAway } from "../backend.ts"
import { poll } from "../polling.ts"

/** What clocks may run apart during a lease: a hundredth of it, and the 2 ms by which Redis rounds an expiry. */
const driftMs = (leaseMs: number): number => leaseMs / 100 + 2

/**
 * A mutex that a majority of independent Redis servers has to grant (redis-semaphore's `RedlockMutex`), so it survives
 * the loss of a minority. It has no line and no token: under a fenced scope the database mints one.
 *
 * `RedlockMutex` takes a majority of answers for the lock, however long they took. Here the time is taken off the lease,
 * as the algorithm asks (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/): a lock whose
 * lease is over when the majority has answered was not acquired.
 */
export const redlockBackend = (
  clients: ReadonlyArray<RedisClient>,
  answerWithinMs: number
): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const quorum: Quorum = { clients: [...clients], answerWithinMs, scope }
    return {
      acquire: (request, restore) => poll(takeMajority(quorum, request), request, restore),
      ping: pingMajority(quorum),
      list: () => Effect.succeed([])
    }
  })

interface Quorum {
  readonly clients: Array<RedisClient>
  readonly answerWithinMs: number
  readonly scope: Scope.Scope
}

const mutexOf = ({ clients }: Quorum, { key, leaseMs }: LockRequest, options: LockOptions): RedlockMutex =>
  new RedlockMutex(clients, key, {
    lockTimeout: leaseMs,
    refreshInterval: 0,
    onLockLost: () => {},
    ...options
  })

const takeMajority = (quorum: Quorum, request: LockRequest): Effect.Effect<Lease | undefined, StoreAway> =>
  Effect.suspend(() => {
    const identifier = randomUUID()
    const mutex = mutexOf(quorum, request, { identifier, acquireAttemptsLimit: 1, retryInterval: 0 })
    const sentAtMs = performance.now()
    return call(() => mutex.tryAcquire(), quorum.answerWithinMs).pipe(
      Effect.tapError(() => giveBackLater(quorum, request, identifier)),
      Effect.flatMap((taken) => {
        if (!taken) return Effect.succeed(undefined)
        const endsAtMs = sentAtMs + request.leaseMs - driftMs(request.leaseMs)
        if (performance.now() < endsAtMs)
          return Effect.succeed(majorityLease(quorum, request, identifier, endsAtMs))
        return Effect.as(giveBackLater(quorum, request, identifier), undefined)
      })
    )
  })

const majorityLease = (
  quorum: Quorum,
  request: LockRequest,
  identifier: string,
  firstEndMs: number
): Lease => {
  let endsAtMs = firstEndMs
  const renew = Effect.suspend(() => {
    const sentAtMs = performance.now()
    const mutex = mutexOf(quorum, request, { identifier, acquiredExternally: true })
    return Effect.map(
      call(() => mutex.tryAcquire(), quorum.answerWithinMs),
      (isOurs) => {
        if (!isOurs) return "lost" as const
        endsAtMs = sentAtMs + request.leaseMs - driftMs(request.leaseMs)
        return "renewed" as const
      }
    )
  })
  const release = giveBack(quorum, request, identifier).pipe(
    Effect.map((): ReleaseOutcome =>
      performance.now() < endsAtMs
        ? { _tag: "Released", handedOver: false }
        : { _tag: "Overrun", reason: "unconfirmed" }
    ),
    Effect.catch(() =>
      Effect.as(giveBackLater(quorum, request, identifier), {
        _tag: "Overrun",
        reason: "unconfirmed"
      } as const)
    )
  )
  return { key: request.key, holder: identifier, token: undefined, endsAtMs: () => endsAtMs, renew, release }
}

const giveBack = (quorum: Quorum, request: LockRequest, identifier: string): Effect.Effect<void, StoreAway> =>
  call(
    () => mutexOf(quorum, request, { identifier, acquiredExternally: true }).release(),
    quorum.answerWithinMs
  )

/** A server that did not answer in time may have granted all the same. */
const giveBackLater = (quorum: Quorum, request: LockRequest, identifier: string): Effect.Effect<void> =>
  giveBack(quorum, request, identifier).pipe(
    Effect.retry(Schedule.spaced(200)),
    Effect.timeoutOption(request.leaseMs),
    Effect.forkIn(quorum.scope),
    Effect.asVoid
  )

const pingMajority = ({ answerWithinMs, clients }: Quorum): Effect.Effect<void, StoreAway> =>
  Effect.forEach(clients, (client) => Effect.option(call(() => client.ping(), answerWithinMs)), {
    concurrency: "unbounded"
  }).pipe(
    Effect.flatMap((answers) =>
      answers.filter(({ _tag }) => _tag === "Some").length > clients.length / 2
        ? Effect.void
        : Effect.fail(
            new StoreAway({ everywhere: true, cause: new Error("no majority of the servers answers") })
          )
    )
  )
