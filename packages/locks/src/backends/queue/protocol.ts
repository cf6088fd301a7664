/** The queue's commands and their replies, each sent once. */
import { Effect, type Scope } from "effect"
import { Mutex } from "redis-semaphore"
import type { BackendOptions, Lease, ReleaseOutcome } from "../../backend.ts"
import { makeLease, retryInBackground } from "../../lease.ts"
import type { RedisUnavailable } from "../../redis/breaker.ts"
import type { RedisStore } from "../../redis/client.ts"
import { isWrongType } from "../../redis/wrong-type.ts"
import type { LockKeys, LockScripts, Reply } from "./scripts.ts"

/** The times of the queue. Leases and waiting times belong to the policy of a scope. `answerWithinMs`: default 1,000. */
export interface QueueTimings extends BackendOptions {
  /** A waiter that heard nothing for this long looks for itself. Default 500. */
  readonly fallbackMs?: number
  /** The same while a plain redis-semaphore client holds the key, which does not publish its release. Default 50. */
  readonly foreignFallbackMs?: number
}

const DEFAULT_TIMINGS: Required<QueueTimings> = {
  fallbackMs: 500,
  foreignFallbackMs: 50,
  answerWithinMs: 1_000
}

/** What all callers of a process share. */
export interface Queue {
  readonly scripts: LockScripts
  readonly store: RedisStore["Service"]
  readonly timings: Required<QueueTimings>
  /** Where cleanup runs after its caller has gone. */
  readonly scope: Scope.Scope
}

export const makeQueue = (
  store: RedisStore["Service"],
  scripts: LockScripts,
  timings: QueueTimings,
  scope: Scope.Scope
): Queue => ({ store, scripts, timings: { ...DEFAULT_TIMINGS, ...timings }, scope })

/** A caller and the lock it wants. */
export interface Caller {
  readonly id: string
  readonly key: string
  readonly keys: LockKeys
  readonly leaseMs: number
}

/** One moment on two clocks: the local one not later than that of Redis. */
export interface Anchor {
  readonly localMs: number
  readonly redisMs: number
}

export interface Acquired {
  readonly _tag: "Acquired"
  readonly token: number
  readonly anchor: Anchor
}
export interface Busy {
  readonly _tag: "Busy"
  readonly holder: string
  readonly leaseLeftMs: number
}
export interface Queued {
  readonly _tag: "Queued"
  readonly holder: string
  readonly leaseLeftMs: number
  readonly place: number
  readonly anchor: Anchor
}
export interface QueueFull {
  readonly _tag: "QueueFull"
  readonly holder: string
  readonly place: number
}
export interface Left {
  readonly _tag: "Left"
  readonly holder: string | null
  readonly placeInLine: number | null
}

/** Runs a script on the keys of a lock. Foreign data under them is removed, once, instead of keeping the lock from all. */
const runOn = <A>(queue: Queue, keys: LockKeys, call: () => Promise<A>): Effect.Effect<A, RedisUnavailable> =>
  Effect.catchIf(ask(queue, call), isWrongType, () =>
    Effect.andThen(
      ask(queue, () => queue.scripts.clear(keys)),
      ask(queue, call)
    )
  )

/** Makes one call, with the queue's deadline for its answer. */
export const ask = <A>(
  { store, timings }: Queue,
  call: () => Promise<A>
): Effect.Effect<A, RedisUnavailable> => store.ask(call, timings.answerWithinMs)

/** Asks for the lock without joining the queue. */
export const tryOnce = (queue: Queue, caller: Caller): Effect.Effect<Acquired | Busy, RedisUnavailable> =>
  Effect.map(look(queue, caller, [0, 0, 0]), (reply) => {
    if (reply._tag === "Acquired" || reply._tag === "Busy") return reply
    throw new Error(`a script answered ${reply._tag} to a caller that does not wait`)
  })

/** Asks for the lock and joins the queue; or, once queued, looks what became of it. */
export const joinQueue = (
  queue: Queue,
  caller: Caller,
  isQueued: boolean,
  waitMs: number
): Effect.Effect<Acquired | Queued | QueueFull, RedisUnavailable> =>
  Effect.map(
    look(queue, caller, [1, isQueued ? 1 : 0, Math.ceil(waitMs) + caller.leaseMs + QUEUE_SLACK_MS]),
    (reply) => {
      if (reply._tag !== "Busy") return reply
      throw new Error("a script answered Busy to a caller that waits")
    }
  )

/** The queue's key outlives the longest wait in it by this much. */
const QUEUE_SLACK_MS = 10_000

const look = (
  queue: Queue,
  { id, keys, leaseMs }: Caller,
  parameters: readonly [mayWait: 0 | 1, isQueued: 0 | 1, queueTtlMs: number]
): Effect.Effect<Acquired | Busy | Queued | QueueFull, RedisUnavailable> =>
  Effect.suspend(() => {
    const localMs = performance.now()
    const reply = runOn(queue, keys, () => queue.scripts.acquire<Reply>(keys, id, leaseMs, ...parameters))
    return Effect.map(reply, (fields) => readLook(fields, localMs))
  })

const readLook = (
  [kind, first, second, third, fourth]: Reply,
  localMs: number
): Acquired | Busy | Queued | QueueFull => {
  switch (kind) {
    case 1:
      return { _tag: "Acquired", token: Number(first), anchor: { localMs, redisMs: Number(second) } }
    case 0:
      return { _tag: "Busy", holder: String(first), leaseLeftMs: Number(second) }
    case 2:
      return {
        _tag: "Queued",
        holder: String(first),
        leaseLeftMs: Number(second),
        place: Number(third),
        anchor: { localMs, redisMs: Number(fourth) }
      }
    default:
      return { _tag: "QueueFull", holder: String(first), place: Number(second) }
  }
}

/** Leaves the queue. A caller that meanwhile became the owner keeps the lock if `mayKeep`, or else passes it on. */
export const leave = (
  queue: Queue,
  { id, keys, leaseMs }: Caller,
  mayKeep: boolean
): Effect.Effect<Acquired | Left, RedisUnavailable> =>
  Effect.suspend(() => {
    const localMs = performance.now()
    const reply = runOn(queue, keys, () => queue.scripts.leave<Reply>(keys, id, leaseMs, mayKeep ? 1 : 0))
    return Effect.map(reply, ([kind, first, second]): Acquired | Left =>
      kind === 1
        ? { _tag: "Acquired", token: Number(first), anchor: { localMs, redisMs: Number(second) } }
        : { _tag: "Left", holder: first === "" ? null : String(first), placeInLine: Number(second) || null }
    )
  })

/** Leaves the queue for good: at once when Redis answers, else in the background. */
export const leaveForGood = (queue: Queue, caller: Caller): Effect.Effect<void> =>
  leave(queue, caller, false).pipe(
    Effect.asVoid,
    Effect.catch(() => leaveInBackground(queue, caller))
  )

const leaveInBackground = (queue: Queue, caller: Caller): Effect.Effect<void> =>
  retryInBackground(leave(queue, caller, false), caller.leaseMs, queue.scope)

/** The lease of an owner. `startMs` is not later than the moment at which Redis began it. */
export const leaseOf = (
  queue: Queue,
  caller: Caller,
  token: number,
  startMs: number,
  grantedMs: number = caller.leaseMs
): Lease =>
  makeLease({
    key: caller.key,
    holder: caller.id,
    token,
    endsAtMs: startMs + grantedMs,
    renewedForMs: caller.leaseMs,
    renew: renew(queue, caller),
    release: () => release(queue, caller),
    // The release may or may not have arrived. Leaving passes the lock on if the caller still owns it.
    abandon: leaveInBackground(queue, caller)
  })

/**
 * redis-semaphore's own renewal, once. Each renewal needs a new mutex object, because after its first success one would
 * acquire instead. Its timer stays off: it turns an outage of Redis into an unhandled rejection.
 */
const renew = (queue: Queue, { id, key, leaseMs }: Caller): Effect.Effect<boolean, RedisUnavailable> =>
  ask(queue, () =>
    new Mutex(queue.store.client, key, {
      identifier: id,
      acquiredExternally: true,
      lockTimeout: leaseMs,
      refreshInterval: 0,
      onLockLost: () => {}
    }).tryAcquire()
  )

const release = (
  queue: Queue,
  { id, keys, leaseMs }: Caller
): Effect.Effect<ReleaseOutcome, RedisUnavailable> =>
  Effect.map(
    runOn(queue, keys, () => queue.scripts.release<Reply>(keys, id, leaseMs)),
    ([kind, owner]) =>
      kind === 0
        ? { _tag: "Overrun", reason: owner === "" ? "vanished" : "taken" }
        : { _tag: "Released", handedOver: kind === 2 }
  )
