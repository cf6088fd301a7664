import { type FenceStale, LockLost } from "@holdfast/domain"
import { Effect } from "effect"
import type { Lease } from "./LockBackend.ts"
import type { AcquireFailure, LockEngine } from "./LockEngine.ts"
import type { HeldLock } from "./lockStack.ts"
import { metricsOf } from "./metrics.ts"

/** Why a body had to end before its time. */
type EndedBody = LockLost | FenceStale

/** Takes the keys of a lock one after another, each while holding those before it, and runs the body inside. */
export const holdingAll = <A, E, R>(
  engine: LockEngine,
  lock: HeldLock,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | AcquireFailure | EndedBody, R> => {
  const { mode, waitMs } = lock.definition.policy
  const waitUntilMs = mode === "pessimistic" ? performance.now() + waitMs : undefined
  return lock.keys.reduceRight<Effect.Effect<A, E | AcquireFailure | EndedBody, R>>(
    (inside, key) => holding(engine, lock, key, waitUntilMs, inside),
    endedBy(lock, body)
  )
}

/** Whatever the body made of it: when its lock failed, the failure is the lock's. */
const endedBy = <A, E, R>(
  lock: HeldLock,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | EndedBody, R> => {
  const unless = (otherwise: Effect.Effect<A, E>): Effect.Effect<A, E | EndedBody> =>
    lock.failure === undefined ? otherwise : Effect.fail(lock.failure)
  return Effect.matchCauseEffect(body, {
    onSuccess: (a) => unless(Effect.succeed(a)),
    onFailure: (cause) => unless(Effect.failCause(cause))
  })
}

/**
 * Holds one key. Interruption is restored only where it leaves nothing behind: while waiting in line, and while the
 * body runs. The body is raced against the end of its lease, and the key given back however the race ends.
 */
const holding = <A, E, R>(
  engine: LockEngine,
  lock: HeldLock,
  key: string,
  waitUntilMs: number | undefined,
  inside: Effect.Effect<A, E, R>
): Effect.Effect<A, E | AcquireFailure | LockLost, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(engine.acquire(lock.definition, key, waitUntilMs, restore), (lease) => {
      lock.leases.push(lease)
      const acquiredAtMs = performance.now()
      return restore(Effect.raceFirst(inside, untilLost(lock, lease))).pipe(
        Effect.onExit(() => {
          lock.active = false
          return Effect.map(engine.release(lock.definition, lease, acquiredAtMs), (outcome) => {
            if (lock.outcome?._tag !== "Overrun") lock.outcome = outcome
          })
        })
      )
    })
  )

/** Stop a tenth of the lease before it ends, so that what has to be undone is undone in time. */
const marginMs = (leaseMs: number): number => Math.min(Math.max(leaseMs / 10, 25), 1_000)

/**
 * Never succeeds: renews the lease at a third of its length for as long as it runs, and fails when the lease can end
 * before it was renewed, or belongs to somebody else. Runs on the local clock alone, so it does not need an answer of
 * the store to notice that there is none.
 */
export const untilLost = (lock: HeldLock, lease: Lease): Effect.Effect<never, LockLost> => {
  const { leaseMs } = lock.definition.policy
  const lost = (reason: LockLost["reason"]) =>
    Effect.suspend(() => {
      const failure = new LockLost({ scope: lock.scope, key: lease.key, reason })
      lock.failure ??= failure
      return Effect.andThen(metricsOf(lock.scope).lost, Effect.fail(failure))
    })
  const step = (notBeforeMs: number): Effect.Effect<never, LockLost> =>
    Effect.suspend(() => {
      const stopAtMs = lease.endsAtMs() - marginMs(leaseMs)
      const renewAtMs = Math.max(lease.endsAtMs() - (leaseMs * 2) / 3, notBeforeMs)
      const now = performance.now()
      if (now >= stopAtMs) return lost("lease")
      if (now < renewAtMs) return Effect.andThen(sleepUntil(Math.min(renewAtMs, stopAtMs)), step(notBeforeMs))
      return lease.renew.pipe(
        Effect.catch(() => Effect.succeed("unknown" as const)),
        Effect.timeoutOrElse({ duration: stopAtMs - now, orElse: () => Effect.succeed("unknown" as const) }),
        Effect.flatMap((outcome) =>
          outcome === "lost"
            ? lost("taken")
            : step(outcome === "unknown" ? performance.now() + leaseMs / 10 : 0)
        )
      )
    })
  return lease.endsAtMs() === Number.POSITIVE_INFINITY ? Effect.never : step(0)
}

const sleepUntil = (moment: number): Effect.Effect<void> =>
  Effect.suspend(() => Effect.sleep(Math.max(1, Math.ceil(moment - performance.now()))))
