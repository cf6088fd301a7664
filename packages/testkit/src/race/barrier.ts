import { assertOptions } from "../internal/options.ts"
import { settler } from "../internal/promises.ts"

/** A barrier can no longer open: a party failed or left before all arrived, or the deadline passed. */
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

/** A point at which a fixed number of callers wait for each other. */
export interface Barrier {
  readonly parties: number
  /** Waits until all parties have arrived. All continue in the same turn of the event loop, in order of arrival. */
  arrive(): Promise<void>
  /** Rejects all present and future calls of `arrive`. Does nothing once the barrier is open. */
  break(why: string, cause?: unknown): void
}

/**
 * A single-use barrier for `parties` callers. It breaks unless all arrive within `timeoutMs` (default 30,000) of the
 * first one. Share one between several races to release them together.
 *
 * @throws RangeError unless `parties` is a positive integer
 */
export const barrier = (parties: number, options: { readonly timeoutMs?: number } = {}): Barrier => {
  if (!Number.isInteger(parties) || parties < 1)
    throw new RangeError(`a barrier needs 1 party or more, got ${parties}`)
  assertOptions("barrier", options, { timeoutMs: true })
  const timeoutMs = options.timeoutMs ?? 30_000
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
      timer ??= setTimeout(() => breakIt(`the deadline of ${timeoutMs} ms passed`), timeoutMs)
      if (arrived === parties) {
        clearTimeout(timer)
        opened.resolve()
      }
      return opened.promise
    },
    break: breakIt
  }
}
