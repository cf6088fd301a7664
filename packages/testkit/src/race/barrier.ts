import { settler } from "./deadline.ts"

/** A barrier that can no longer open: a party failed or left before all had arrived, or the deadline passed. */
export class BarrierBroken extends Error {
  readonly _tag = "BarrierBroken"
  readonly parties: number
  readonly arrived: number

  constructor(parties: number, arrived: number, why: string, options?: ErrorOptions) {
    super(`the barrier never opened: ${arrived} of ${parties} callers arrived; ${why}`, options)
    this.name = "BarrierBroken"
    this.parties = parties
    this.arrived = arrived
  }
}

export interface Barrier {
  readonly parties: number
  /** Waits until all parties have arrived; all go on in the same turn of the event loop, in order of arrival. */
  arrive(): Promise<void>
  /** Fails everybody who waits or will arrive. Does nothing once the barrier is open. */
  break(why: string, cause?: unknown): void
}

/**
 * A barrier for `parties` callers (one use). It breaks when not all of them have arrived `deadlineMs` after the
 * first one (30 s unless told). Share one between several races to release them together.
 */
export const barrier = (parties: number, options: { readonly deadlineMs?: number } = {}): Barrier => {
  if (!Number.isInteger(parties) || parties < 1)
    throw new RangeError(`a barrier needs 1 party or more, got ${parties}`)
  const deadlineMs = options.deadlineMs ?? 30_000
  const opened = settler<void>()
  let arrived = 0
  let timer: NodeJS.Timeout | undefined

  const breakIt = (why: string, cause?: unknown) => {
    clearTimeout(timer)
    opened.reject(new BarrierBroken(parties, arrived, why, cause === undefined ? undefined : { cause }))
  }
  return {
    parties,
    arrive: () => {
      arrived += 1
      if (arrived > parties)
        return Promise.reject(new BarrierBroken(parties, arrived, "more callers arrived than it is for"))
      timer ??= setTimeout(() => breakIt(`the deadline of ${deadlineMs} ms passed`), deadlineMs)
      if (arrived === parties) {
        clearTimeout(timer)
        opened.resolve()
      }
      return opened.promise
    },
    break: breakIt
  }
}
