import { Cause, Effect, Exit, type Scope } from "effect"
import {
  type AcquireRefusal,
  type Lease,
  type LockBackend,
  LockBusy,
  type LockInfo,
  type LockRequest,
  LockWaitTimeout,
  type Restore
} from "../../backend.ts"
import { RedisUnavailable } from "../../redis/breaker.ts"
import { isCluster } from "../../redis/is-cluster.ts"
import type { RedisStore } from "../../redis/client.ts"
import { isWrongType } from "../../redis/wrong-type.ts"
import { type Grant, type Grants, isQueueIdentifier, makeGrants, type Waiter } from "./grants.ts"
import {
  type Acquired,
  type Anchor,
  ask,
  type Caller,
  joinQueue,
  leaseOf,
  leave,
  leaveForGood,
  makeQueue,
  type Queue,
  type Queued,
  type QueueTimings,
  tryOnce
} from "./protocol.ts"
import { keysOfMutex, lockKeys, lockScripts, type Reply, TOKEN_TTL_MS } from "./scripts.ts"

/** Mutexes under redis-semaphore's keys, with a queue in which each owner hands the lock to the next waiter. */
export const queueBackend = (
  store: RedisStore["Service"],
  timings: QueueTimings = {}
): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scripts = lockScripts(store.client)
    const queue = makeQueue(store, scripts, timings, yield* Effect.scope)
    const grants = yield* makeGrants(store.client, ({ id, leaseMs, mutex }) => {
      scripts.leave(keysOfMutex(mutex), id, leaseMs, 0).catch(() => {})
    })
    return {
      acquire: (request, restore) => acquire(queue, grants, request, restore),
      isUp: store.isUp,
      list: (limit) => listLocks(queue, limit)
    }
  })

/** Leaves nothing behind unless it succeeds: a caller that is interrupted or cut off leaves the queue. */
const acquire = (
  queue: Queue,
  grants: Grants,
  { key, leaseMs, waitUntilMs }: LockRequest,
  restore: Restore
): Effect.Effect<Lease, AcquireRefusal> =>
  Effect.suspend(() => {
    const waiter = grants.waiter()
    const caller: Caller = { id: waiter.id, key, keys: lockKeys(key), leaseMs }
    const attempt: Effect.Effect<Lease, AcquireRefusal> =
      waitUntilMs === undefined
        ? takeOrRefuse(queue, caller, restore)
        : Effect.andThen(
            restore(grants.listening),
            waitInQueue({ queue, caller, waiter, waitUntilMs, restore })
          )
    return attempt.pipe(
      Effect.map((lease) => forgottenAtRelease(lease, waiter)),
      Effect.onExit((exit) => {
        if (Exit.isSuccess(exit)) return Effect.void
        waiter.forget()
        return isUnsettled(exit.cause) ? leaveForGood(queue, caller) : Effect.void
      })
    )
  })

/**
 * Keeps an owner known to the subscription until its release. An owner that looked for itself may still get the message
 * of the hand-over, and a grant without a known waiter is passed on, to a second owner.
 */
const forgottenAtRelease = (lease: Lease, waiter: Waiter): Lease => ({
  ...lease,
  release: Effect.onExit(lease.release, () => Effect.sync(waiter.forget))
})

/** A refusal is an answer of Redis. After an interrupt, or without an answer, something may have stayed behind. */
const isUnsettled = (cause: Cause.Cause<AcquireRefusal>): boolean =>
  cause.reasons.some((reason) => !Cause.isFailReason(reason) || reason.error instanceof RedisUnavailable)

const takeOrRefuse = (
  queue: Queue,
  caller: Caller,
  restore: Restore
): Effect.Effect<Lease, LockBusy | RedisUnavailable> =>
  Effect.flatMap(restore(tryOnce(queue, caller)), (reply) =>
    reply._tag === "Acquired"
      ? Effect.succeed(leaseFrom(queue, caller, reply))
      : Effect.fail(new LockBusy({ holder: reply.holder, leaseLeftMs: reply.leaseLeftMs }))
  )

const leaseFrom = (queue: Queue, caller: Caller, { anchor, token }: Acquired): Lease =>
  leaseOf(queue, caller, token, anchor.localMs)

interface Wait {
  readonly queue: Queue
  readonly caller: Caller
  readonly waiter: Waiter
  readonly waitUntilMs: number
  readonly restore: Restore
}

/** Looks, then waits for a grant or for the time to look again, until the waiting time is up. */
const waitInQueue = (wait: Wait): Effect.Effect<Lease, LockWaitTimeout | RedisUnavailable> => {
  const { caller, queue, restore, waiter, waitUntilMs } = wait
  const step = (isQueued: boolean): Effect.Effect<Lease, LockWaitTimeout | RedisUnavailable> =>
    Effect.flatMap(restore(joinQueue(queue, caller, isQueued, waitUntilMs - performance.now())), (reply) => {
      if (reply._tag === "Acquired") return Effect.succeed(leaseFrom(queue, caller, reply))
      if (reply._tag === "QueueFull") {
        return Effect.fail(new LockWaitTimeout({ holder: reply.holder, placeInLine: reply.place }))
      }
      const leftMs = waitUntilMs - performance.now()
      if (leftMs <= 0) return giveUp(wait)
      return Effect.flatMap(
        restore(waiter.waitFor(Math.min(lookAgainInMs(queue, reply), leftMs))),
        (grant) => {
          const startMs = grant && startOf(grant, reply.anchor)
          if (grant === undefined || startMs === undefined) return step(true)
          const grantedMs = Math.min(grant.leaseMs, caller.leaseMs)
          return Effect.succeed(leaseOf(queue, caller, grant.token, startMs, grantedMs))
        }
      )
    })
  return step(false)
}

/** Soon after the owner's lease can end and never later than the fallback, with jitter, to avoid lockstep. */
const lookAgainInMs = ({ timings }: Queue, { holder, leaseLeftMs }: Queued): number => {
  const fallbackMs = isQueueIdentifier(holder) ? timings.fallbackMs : timings.foreignFallbackMs
  const jitteredMs = fallbackMs * (0.9 + Math.random() / 10)
  return Math.ceil(leaseLeftMs > 0 ? Math.min(jitteredMs, leaseLeftMs + 5) : jitteredMs)
}

/**
 * The earliest local moment at which a lease can have begun that Redis began at its own time, translated by the anchor.
 * `undefined`: the clocks do not fit together because one was set, or no script has minted this token; the next look
 * tells what is true.
 */
const startOf = (grant: Grant, anchor: Anchor): number | undefined => {
  const isToken = grant.token > 0 && grant.token <= (grant.atRedisMs + TOKEN_TTL_MS + 1) * 1_000
  if (!isToken) return undefined
  const startMs = anchor.localMs + (grant.atRedisMs - anchor.redisMs) - 1
  const now = performance.now()
  return startMs <= now && now - startMs < grant.leaseMs / 3 ? startMs : undefined
}

/** The waiting time is up: leaves, unless the lock came at this very moment. */
const giveUp = ({ caller, queue }: Wait): Effect.Effect<Lease, LockWaitTimeout | RedisUnavailable> =>
  Effect.flatMap(leave(queue, caller, true), (reply) =>
    reply._tag === "Acquired"
      ? Effect.succeed(leaseFrom(queue, caller, reply))
      : Effect.fail(new LockWaitTimeout({ holder: reply.holder, placeInLine: reply.placeInLine }))
  )

const KEYS_PER_SCAN = 500
const LISTED_WAITERS = 100

/** Every held lock with its queue. For people: it scans all keys of the database, a batch at a time. */
const listLocks = (queue: Queue, limit: number): Effect.Effect<ReadonlyArray<LockInfo>, RedisUnavailable> =>
  Effect.gen(function* () {
    const { client } = queue.store
    const found: Array<LockInfo> = []
    for (const node of isCluster(client) ? client.nodes("master") : [client]) {
      let cursor = "0"
      do {
        const [next, mutexes] = yield* ask(queue, () =>
          node.scan(cursor, "MATCH", "mutex:*", "COUNT", KEYS_PER_SCAN)
        )
        cursor = next
        for (const mutex of mutexes) {
          if (found.length >= limit) return found
          const key = mutex.slice("mutex:".length)
          const reply = yield* ask(queue, () =>
            queue.scripts.inspect<Reply>(lockKeys(key), LISTED_WAITERS)
          ).pipe(Effect.catchIf(isWrongType, () => Effect.succeed([])))
          if (reply.length > 0 && !found.some((info) => info.key === key)) found.push(readInfo(key, reply))
        }
      } while (cursor !== "0")
    }
    return found
  })

const MICROSECONDS_PER_MILLISECOND = 1_000

const readInfo = (key: string, [holder, leaseLeftMs, token, nowMs, ...waiters]: Reply): LockInfo => {
  // A token is the time at which it was minted, so it tells the age of the lock.
  const hasToken = isQueueIdentifier(String(holder)) && Number(token) > 0
  return {
    scope: null,
    key,
    holder: String(holder),
    token: hasToken ? Number(token) : null,
    ageMs: hasToken
      ? Math.max(0, Math.round(Number(nowMs) - Number(token) / MICROSECONDS_PER_MILLISECOND))
      : null,
    leaseLeftMs: Number(leaseLeftMs) < 0 ? null : Number(leaseLeftMs),
    queue: waiters.map(String)
  }
}
