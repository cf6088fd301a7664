/** Says that too many wait already. */
export class TooManyWaiting extends Error {
  override readonly name = "TooManyWaiting"
}

/** So many at a time, in the order in which they came; a bounded number of others waits. */
export interface Turns {
  /**
   * Resolves with the function that gives the turn back, to be called once.
   * Rejects with {@link TooManyWaiting}, or with the signal's reason when it is aborted before its turn.
   */
  readonly take: (signal: AbortSignal) => Promise<() => void>
  /** Whether somebody waits. */
  readonly isContended: () => boolean
}

export const makeTurns = (atOnce: number, maxWaiting: number): Turns => {
  let free = atOnce
  const waiting = new Set<() => void>()

  const giveBack = () => {
    const next = waiting.values().next().value
    if (next === undefined) free += 1
    else next()
  }

  const wait = (signal: AbortSignal) =>
    new Promise<() => void>((resolve, reject) => {
      const leave = () => {
        waiting.delete(enter)
        reject(signal.reason as Error)
      }
      const enter = () => {
        waiting.delete(enter)
        signal.removeEventListener("abort", leave)
        resolve(giveBack)
      }
      waiting.add(enter)
      signal.addEventListener("abort", leave, { once: true })
    })

  return {
    isContended: () => waiting.size > 0,
    take: async (signal) => {
      signal.throwIfAborted()
      if (free > 0) {
        free -= 1
        return giveBack
      }
      if (waiting.size >= maxWaiting) throw new TooManyWaiting()
      return wait(signal)
    }
  }
}
