/**
 * A clock whose every reading is later than the one before, so that two events of one process never tie.
 *
 * It reads CLOCK_MONOTONIC, which the processes of one machine share: histories recorded by several processes from
 * the same origin can be merged.
 */
export interface StrictClock {
  readonly originNs: bigint
  /** Nanoseconds since the origin. */
  readonly now: () => number
}

export const strictClock = (
  originNs: bigint = process.hrtime.bigint(),
  read: () => bigint = () => process.hrtime.bigint()
): StrictClock => {
  let last = -1
  return {
    originNs,
    now: () => {
      last = Math.max(last + 1, Number(read() - originNs))
      return last
    }
  }
}
