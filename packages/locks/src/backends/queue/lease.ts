import { Effect } from "effect"
import { Mutex } from "redis-semaphore"
import type { Lease, ReleaseOutcome, StoreAway } from "../../backend.ts"
import { call } from "../../redis/call.ts"
import { type Caller, leaveForGood, type Line } from "./protocol.ts"

/** The lease of an owner: `startMs` is not later than the moment at which Redis began it. */
export const makeLease = (
  line: Line,
  caller: Caller,
  token: number,
  startMs: number,
  grantedMs: number = caller.leaseMs
): Lease => {
  let endsAtMs = startMs + grantedMs
  const renew = Effect.suspend(() => {
    const sentAtMs = performance.now()
    return Effect.map(renewOnce(line, caller), (isOurs) => {
      if (!isOurs) return "lost" as const
      endsAtMs = sentAtMs + caller.leaseMs
      return "renewed" as const
    })
  })
  return {
    key: caller.key,
    holder: caller.id,
    token,
    endsAtMs: () => endsAtMs,
    renew,
    release: release(line, caller)
  }
}

/**
 * redis-semaphore's own renewal, once. A mutex object of its own each time, because after its first success it would
 * try to acquire instead; without its timer, which lets an outage of Redis become an unhandled rejection.
 */
const renewOnce = (
  { client, timings }: Line,
  { id, key, leaseMs }: Caller
): Effect.Effect<boolean, StoreAway> =>
  call(
    () =>
      new Mutex(client, key, {
        identifier: id,
        acquiredExternally: true,
        lockTimeout: leaseMs,
        refreshInterval: 0,
        onLockLost: () => {}
      }).tryAcquire(),
    timings.answerWithinMs
  )

const release = (line: Line, caller: Caller): Effect.Effect<ReleaseOutcome> => {
  const { id, keys, leaseMs } = caller
  return call(() => line.scripts.release(keys, id, leaseMs), line.timings.answerWithinMs).pipe(
    Effect.map(outcomeOf),
    Effect.catch(() =>
      // Nobody knows whether it arrived. Leaving passes the lock on if it is still ours.
      Effect.as(Effect.forkIn(leaveForGood(line, caller), line.scope), {
        _tag: "Overrun",
        reason: "unconfirmed"
      } as const)
    )
  )
}

const outcomeOf = ([kind, owner]: ReadonlyArray<string | number>): ReleaseOutcome => {
  if (kind === 0) return { _tag: "Overrun", reason: owner === "" ? "vanished" : "taken" }
  return { _tag: "Released", handedOver: kind === 2 }
}
