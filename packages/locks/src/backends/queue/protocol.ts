import { Effect, Schedule, type Scope } from "effect"
import type { RedisClient } from "../../redis/client.ts"
import type { StoreAway } from "../../backend.ts"
import { call } from "../../redis/call.ts"
import type { LockKeys } from "./keys.ts"
import type { LockScripts } from "./scripts.ts"

/** The queue's own times. The policy of a scope says how long a lock lives and how long its callers wait. */
export interface QueueTimings {
  /** A waiter that heard nothing for this long looks for itself. Default 500. */
  readonly fallbackMs?: number
  /** The same while a plain redis-semaphore client holds the key: it tells nobody when it goes. Default 50. */
  readonly foreignFallbackMs?: number
  /** A command without an answer for this long means that Redis is away. Default 1,000. */
  readonly answerWithinMs?: number
}

export const DEFAULT_TIMINGS: Required<QueueTimings> = {
  fallbackMs: 500,
  foreignFallbackMs: 50,
  answerWithinMs: 1_000
}

/** What all callers of a process share. */
export interface Line {
  readonly client: RedisClient
  readonly scripts: LockScripts
  readonly timings: Required<QueueTimings>
  /** Where what is left to do after a caller has gone is done. */
  readonly scope: Scope.Scope
}

/** Who asks, and for what. */
export interface Caller {
  readonly id: string
  readonly key: string
  readonly keys: LockKeys
  readonly leaseMs: number
}

/** A moment that two clocks have seen: ours not later than Redis did. */
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
export interface InLine {
  readonly _tag: "InLine"
  readonly holder: string
  readonly leaseLeftMs: number
  readonly place: number
  readonly anchor: Anchor
}
export interface LineFull {
  readonly _tag: "LineFull"
  readonly holder: string
  readonly place: number
}
export interface Left {
  readonly _tag: "Left"
  readonly holder: string | null
  readonly placeInLine: number | null
}

/** Asks for the lock without standing in line. */
export const tryOnce = (line: Line, caller: Caller): Effect.Effect<Acquired | Busy, StoreAway> =>
  Effect.map(look(line, caller, [0, 0, 0]), (reply) => {
    if (reply._tag === "Acquired" || reply._tag === "Busy") return reply
    throw new Error(`a script answered ${reply._tag} to a caller that does not wait`)
  })

/** Asks for the lock and joins the line; or, once in it, looks what became of it. */
export const joinLine = (
  line: Line,
  caller: Caller,
  isQueued: boolean,
  waitMs: number
): Effect.Effect<Acquired | InLine | LineFull, StoreAway> =>
  Effect.map(
    look(line, caller, [1, isQueued ? 1 : 0, Math.ceil(waitMs) + caller.leaseMs + QUEUE_SLACK_MS]),
    (reply) => {
      if (reply._tag !== "Busy") return reply
      throw new Error("a script answered Busy to a caller that waits")
    }
  )

/** The queue outlives the longest wait in it by this much. */
const QUEUE_SLACK_MS = 10_000

const look = (
  { scripts, timings }: Line,
  { id, keys, leaseMs }: Caller,
  parameters: readonly [mayWait: 0 | 1, isQueued: 0 | 1, queueTtlMs: number]
): Effect.Effect<Acquired | Busy | InLine | LineFull, StoreAway> =>
  Effect.suspend(() => {
    const localMs = performance.now()
    const asked = call(() => scripts.acquire(keys, id, leaseMs, ...parameters), timings.answerWithinMs)
    return Effect.map(asked, (reply) => readLook(reply, localMs))
  })

const readLook = (
  [kind, first, second, third, fourth]: ReadonlyArray<string | number>,
  localMs: number
): Acquired | Busy | InLine | LineFull => {
  switch (kind) {
    case 1:
      return { _tag: "Acquired", token: Number(first), anchor: { localMs, redisMs: Number(second) } }
    case 0:
      return { _tag: "Busy", holder: String(first), leaseLeftMs: Number(second) }
    case 2:
      return {
        _tag: "InLine",
        holder: String(first),
        leaseLeftMs: Number(second),
        place: Number(third),
        anchor: { localMs, redisMs: Number(fourth) }
      }
    default:
      return { _tag: "LineFull", holder: String(first), place: Number(second) }
  }
}

/** Leaves the line. Who meanwhile became the owner keeps the lock, if that is wanted, or passes it on. */
export const leave = (
  { scripts, timings }: Line,
  { id, keys, leaseMs }: Caller,
  mayKeep: boolean
): Effect.Effect<Acquired | Left, StoreAway> =>
  Effect.suspend(() => {
    const localMs = performance.now()
    const asked = call(() => scripts.leave(keys, id, leaseMs, mayKeep ? 1 : 0), timings.answerWithinMs)
    return Effect.map(asked, ([kind, first, second]): Acquired | Left =>
      kind === 1
        ? { _tag: "Acquired", token: Number(first), anchor: { localMs, redisMs: Number(second) } }
        : { _tag: "Left", holder: first === "" ? null : String(first), placeInLine: Number(second) || null }
    )
  })

const LEAVE_AGAIN_EVERY_MS = 200

/**
 * Makes sure that nothing of the caller stays behind. Waits for it when Redis answers; when it does not, tries on in
 * the background, for as long as a lease could last.
 */
export const leaveForGood = (line: Line, caller: Caller): Effect.Effect<void> => {
  const once = leave(line, caller, false)
  const later = once.pipe(
    Effect.retry(Schedule.spaced(LEAVE_AGAIN_EVERY_MS)),
    Effect.timeoutOption(caller.leaseMs),
    Effect.forkIn(line.scope)
  )
  return once.pipe(
    Effect.asVoid,
    Effect.catch(() => Effect.asVoid(later))
  )
}
