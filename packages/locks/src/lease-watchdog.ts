import { LockLost } from "@holdfast/domain/locks"
import { Effect, Fiber } from "effect"
import type { Lease } from "./backend.ts"
import type { HeldLock } from "./lock-stack.ts"
import { metricsOf } from "./metrics.ts"

/**
 * Runs the body until it ends or its lease is lost. When the lease is lost or the caller is interrupted, it interrupts
 * the body and waits for its end. Nearly every body ends before the first renewal, so until then only a timer runs.
 */
export const whileLeased = <A, E, R>(
  lock: HeldLock,
  lease: Lease,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | LockLost, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkChild(body, { startImmediately: true }), (running) => {
      const exit = running.pollUnsafe()
      if (exit !== undefined) return exit
      const watched = Effect.flatMap(
        endsWithin(running, renewalAtMs(lock, lease) - performance.now()),
        () => running.pollUnsafe() ?? Effect.raceFirst(Fiber.join(running), untilLost(lock, lease))
      )
      return Effect.onExit(restore(watched), () =>
        running.pollUnsafe() === undefined ? Fiber.interrupt(running) : Effect.void
      )
    })
  )

/** Waits until the fiber has ended, but no longer than this. */
const endsWithin = (running: Fiber.Fiber<unknown, unknown>, ms: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const settle = () => {
      clearTimeout(timer)
      resume(Effect.void)
    }
    const timer = ms === Number.POSITIVE_INFINITY ? undefined : setTimeout(settle, Math.max(ms, 0))
    // Settles at once when the fiber has ended already.
    const forget = running.addObserver(settle)
    return Effect.sync(() => {
      clearTimeout(timer)
      forget()
    })
  })

/** A lease is renewed at a third of its length. */
const renewalAtMs = (lock: HeldLock, lease: Lease): number =>
  lease.endsAtMs() - (lock.definition.policy.leaseMs * 2) / 3

/** The body is stopped a tenth of the lease before its end, so that it can clean up in time. */
const marginMs = (leaseMs: number): number => Math.min(Math.max(leaseMs / 10, 25), 1_000)

/**
 * Renews the lease for as long as it runs, and fails when the lease is about to end or has another holder. It relies on
 * the local clock alone, so it stops the body in time even when the store does not answer.
 */
const untilLost = (lock: HeldLock, lease: Lease): Effect.Effect<never, LockLost> => {
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
      const renewAtMs = Math.max(renewalAtMs(lock, lease), notBeforeMs)
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
  return step(0)
}

const sleepUntil = (moment: number): Effect.Effect<void> =>
  Effect.suspend(() => Effect.sleep(Math.max(1, Math.ceil(moment - performance.now()))))
