import { Effect } from "effect"
import { LockBusy, type LockRequest, NotInTime, type Restore, type StoreAway } from "./backend.ts"

const SHORTEST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 50

/**
 * Waits for a lock of a store that has no line: asks, sleeps for a little longer each time, asks again. Nobody is first
 * here. Interruption is restored only while sleeping, so it never hits an attempt.
 */
export const poll = <A>(
  attempt: Effect.Effect<A | undefined, StoreAway>,
  { waitUntilMs }: LockRequest,
  restore: Restore
): Effect.Effect<A, LockBusy | NotInTime | StoreAway> => {
  const step = (pauseMs: number): Effect.Effect<A, LockBusy | NotInTime | StoreAway> =>
    Effect.flatMap(attempt, (taken) => {
      if (taken !== undefined) return Effect.succeed(taken)
      if (waitUntilMs === undefined) return Effect.fail(new LockBusy({ holder: null, leaseLeftMs: 0 }))
      const leftMs = waitUntilMs - performance.now()
      if (leftMs <= 0) return Effect.fail(new NotInTime({ holder: null, placeInLine: null }))
      const jitteredMs = pauseMs * (0.5 + Math.random() / 2)
      return Effect.andThen(
        restore(Effect.sleep(Math.min(jitteredMs, leftMs))),
        step(Math.min(pauseMs * 2, LONGEST_PAUSE_MS))
      )
    })
  return step(SHORTEST_PAUSE_MS)
}
