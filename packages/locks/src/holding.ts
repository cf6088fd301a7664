import type { FenceStale, LockLost } from "@holdfast/domain/locks"
import { Effect } from "effect"
import type { AcquireFailure, LockEngine } from "./engine.ts"
import type { HeldLock } from "./lock-stack.ts"
import { whileLeased } from "./lease-watchdog.ts"

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
 * body runs. The key is given back however the body ends.
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
      return restore(whileLeased(lock, lease, inside)).pipe(
        Effect.onExit(() => {
          lock.active = false
          return Effect.map(engine.release(lock.definition, lease, acquiredAtMs), (outcome) => {
            if (lock.outcome?._tag !== "Overrun") lock.outcome = outcome
          })
        })
      )
    })
  )
