import { Cause, Effect, Exit, type Scope } from "effect"
import type { RedisClient } from "../../redis/client.ts"
import {
  type Lease,
  type LockBackend,
  LockBusy,
  type LockRequest,
  NotInTime,
  type Restore,
  StoreAway
} from "../../backend.ts"
import { call } from "../../redis/call.ts"
import { type Grant, type Grants, makeGrants, type Waiter } from "./grants.ts"
import { inspectLocks, isIdentifier } from "./inspect.ts"
import { companions, lockKeys } from "./keys.ts"
import { makeLease } from "./lease.ts"
import {
  type Acquired,
  type Anchor,
  type Caller,
  DEFAULT_TIMINGS,
  type QueueTimings,
  type InLine,
  joinLine,
  leave,
  leaveForGood,
  type Line,
  tryOnce
} from "./protocol.ts"
import { lockScripts } from "./scripts.ts"

/** Mutexes with redis-semaphore's keys, and a queue in which the lock is handed from each owner to the next. */
export const queueBackend = (
  client: RedisClient,
  timings: QueueTimings = {}
): Effect.Effect<LockBackend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const scripts = lockScripts(client)
    const grants = yield* makeGrants(client, ({ id, leaseMs, mutex }) => {
      scripts.leave(companions(mutex), id, leaseMs, 0).catch(() => {})
    })
    const line: Line = { client, scripts, timings: { ...DEFAULT_TIMINGS, ...timings }, scope }
    return {
      acquire: (request, restore) => acquire(line, grants, request, restore),
      ping: Effect.asVoid(call(() => client.ping(), line.timings.answerWithinMs)),
      list: (limit) => inspectLocks(client, scripts, limit, line.timings.answerWithinMs)
    }
  })

/** Leaves nothing behind unless it succeeds: whoever is interrupted or cut off leaves the line. */
const acquire = (
  line: Line,
  grants: Grants,
  request: LockRequest,
  restore: Restore
): Effect.Effect<Lease, LockBusy | NotInTime | StoreAway> =>
  Effect.suspend(() => {
    const waiter = grants.waiter()
    const caller: Caller = {
      id: waiter.id,
      key: request.key,
      keys: lockKeys(request.key),
      leaseMs: request.leaseMs
    }
    const { waitUntilMs } = request
    const attempt: Effect.Effect<Lease, LockBusy | NotInTime | StoreAway> =
      waitUntilMs === undefined
        ? takeOrRefuse(line, caller, restore)
        : Effect.andThen(
            restore(grants.listening),
            standInLine({ line, caller, waiter, waitUntilMs, restore })
          )
    return attempt.pipe(
      Effect.map((lease) => forgottenAtRelease(lease, waiter)),
      Effect.onExit((exit) => {
        if (Exit.isSuccess(exit)) return Effect.void
        waiter.forget()
        return isUnsettled(exit.cause) ? leaveForGood(line, caller) : Effect.void
      })
    )
  })

/**
 * An owner stays known to the process's subscription. Who looks for itself at the moment of the hand-over has the lock
 * before the message about it comes, and a grant that nobody claims is passed on: to a second owner.
 */
const forgottenAtRelease = (lease: Lease, waiter: Waiter): Lease => ({
  ...lease,
  release: Effect.onExit(lease.release, () => Effect.sync(waiter.forget))
})

/** A refusal is an answer of Redis. After an interrupt, or without an answer, something may have stayed behind. */
const isUnsettled = (cause: Cause.Cause<LockBusy | NotInTime | StoreAway>): boolean =>
  cause.reasons.some((reason) => !Cause.isFailReason(reason) || reason.error instanceof StoreAway)

const takeOrRefuse = (
  line: Line,
  caller: Caller,
  restore: Restore
): Effect.Effect<Lease, LockBusy | StoreAway> =>
  Effect.flatMap(restore(tryOnce(line, caller)), (reply) =>
    reply._tag === "Acquired"
      ? Effect.succeed(leaseFrom(line, caller, reply))
      : Effect.fail(new LockBusy({ holder: reply.holder, leaseLeftMs: reply.leaseLeftMs }))
  )

const leaseFrom = (line: Line, caller: Caller, { anchor, token }: Acquired): Lease =>
  makeLease(line, caller, token, anchor.localMs)

interface Standing {
  readonly line: Line
  readonly caller: Caller
  readonly waiter: Waiter
  readonly waitUntilMs: number
  readonly restore: Restore
}

/** Looks, then waits to be called or to look again, until the time is up. */
const standInLine = (standing: Standing): Effect.Effect<Lease, NotInTime | StoreAway> => {
  const { caller, line, restore, waiter, waitUntilMs } = standing
  const step = (isQueued: boolean): Effect.Effect<Lease, NotInTime | StoreAway> =>
    Effect.flatMap(restore(joinLine(line, caller, isQueued, waitUntilMs - performance.now())), (reply) => {
      if (reply._tag === "Acquired") return Effect.succeed(leaseFrom(line, caller, reply))
      if (reply._tag === "LineFull") {
        return Effect.fail(new NotInTime({ holder: reply.holder, placeInLine: reply.place }))
      }
      const leftMs = waitUntilMs - performance.now()
      if (leftMs <= 0) return giveUp(standing)
      return Effect.flatMap(
        restore(waiter.waitFor(Math.min(lookAgainInMs(line, reply), leftMs))),
        (grant) => {
          const startMs = grant && startOf(grant, reply.anchor)
          if (grant === undefined || startMs === undefined) return step(true)
          return Effect.succeed(makeLease(line, caller, grant.token, startMs, grant.leaseMs))
        }
      )
    })
  return step(false)
}

/** Soon after the owner's lease can end, and never later than the fallback; a little apart from the others. */
const lookAgainInMs = ({ timings }: Line, { holder, leaseLeftMs }: InLine): number => {
  const fallbackMs = isIdentifier(holder) ? timings.fallbackMs : timings.foreignFallbackMs
  const apart = 0.9 + Math.random() / 10
  return Math.ceil(leaseLeftMs > 0 ? Math.min(fallbackMs * apart, leaseLeftMs + 5) : fallbackMs * apart)
}

/**
 * When a lease that began on the clock of Redis began on ours, at the earliest. The anchor is a moment that both have
 * seen. `undefined`: the two clocks do not fit together, somebody set one; looking again gives a new anchor.
 */
const startOf = (grant: Grant, anchor: Anchor): number | undefined => {
  const startMs = anchor.localMs + (grant.atRedisMs - anchor.redisMs) - 1
  const now = performance.now()
  return startMs <= now && now - startMs < grant.leaseMs / 3 ? startMs : undefined
}

/** The time is up: leave, unless the lock came at this very moment. */
const giveUp = ({ caller, line }: Standing): Effect.Effect<Lease, NotInTime | StoreAway> =>
  Effect.flatMap(leave(line, caller, true), (reply) =>
    reply._tag === "Acquired"
      ? Effect.succeed(leaseFrom(line, caller, reply))
      : Effect.fail(new NotInTime({ holder: reply.holder, placeInLine: reply.placeInLine }))
  )
