import { ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"

interface Bounds {
  /** Works that run at a time. */
  readonly atOnce: number
  /** Works that wait. */
  readonly waiting: number
  readonly waitingOfOne: number
}

interface Waiter {
  readonly admit: () => void
  readonly refuse: () => void
  isAdmitted: boolean
}

/** Runs work of many callers, one work of each in turn. */
export type FairQueue = <A, E, R>(
  caller: string,
  work: Effect.Effect<A, E, R>
) => Effect.Effect<A, E | ServiceUnavailable, R>

const RETRY_AFTER_MS = 1_000

/**
 * Makes a queue in which the callers take turns (round robin): who waits behind a crowd waits for one work of each other
 * caller, however many they have. Beyond the bounds work is refused at once; when all places are taken, whoever has the
 * most gives one up.
 */
export const makeFairQueue = ({ atOnce, waiting: maximum, waitingOfOne }: Bounds): FairQueue => {
  const waiters = new Map<string, Array<Waiter>>()
  let running = 0
  let waiting = 0
  const leave = (caller: string, waiter: Waiter) => {
    const own = waiters.get(caller)
    const at = own?.indexOf(waiter) ?? -1
    if (own === undefined || at === -1) return
    own.splice(at, 1)
    waiting -= 1
    if (own.length === 0) waiters.delete(caller)
  }
  const makePlace = (ownWaiting: number): boolean => {
    if (waiting < maximum) return true
    const [caller, longest] = [...waiters].reduce((most, next) =>
      next[1].length > most[1].length ? next : most
    )
    const last = longest.at(-1)!
    if (longest.length <= ownWaiting + 1) return false
    leave(caller, last)
    last.refuse()
    return true
  }
  const release = () => {
    const [turn] = waiters
    if (turn === undefined) return void (running -= 1)
    const [caller, own] = turn
    const waiter = own[0]!
    leave(caller, waiter)
    // The others' turns come before the caller's next.
    if (waiters.delete(caller)) waiters.set(caller, own)
    waiter.isAdmitted = true
    waiter.admit()
  }
  const enter = (caller: string) => {
    const refusal = Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
    return Effect.callback<void, ServiceUnavailable>((resume) => {
      if (running < atOnce) {
        running += 1
        return resume(Effect.void)
      }
      const ownWaiting = waiters.get(caller)?.length ?? 0
      if (ownWaiting >= waitingOfOne || !makePlace(ownWaiting)) return resume(refusal)
      const waiter: Waiter = {
        admit: () => resume(Effect.void),
        refuse: () => resume(refusal),
        isAdmitted: false
      }
      const own = waiters.get(caller)
      if (own === undefined) waiters.set(caller, [waiter])
      else own.push(waiter)
      waiting += 1
      return Effect.sync(() => (waiter.isAdmitted ? release() : leave(caller, waiter)))
    })
  }
  return (caller, work) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(enter(caller)), () => Effect.ensuring(restore(work), Effect.sync(release)))
    )
}
