/** Rejects an acquisition because too many callers are already waiting. */
export class QueueFull extends Error {
  override readonly name = "QueueFull"
}

interface Limiter {
  /**
   * Resolves with the function that releases the permit, to be called once. Rejects with {@link QueueFull}, or with
   * the signal's reason if it is aborted first.
   */
  readonly acquire: (signal: AbortSignal) => Promise<() => void>
  /** Whether callers are waiting. */
  readonly isContended: () => boolean
}

/** A semaphore with a bounded first-in, first-out queue. */
export const makeLimiter = (permits: number, maxWaiting: number): Limiter => {
  let free = permits
  const waiting = new Set<() => void>()

  const release = () => {
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
        resolve(release)
      }
      waiting.add(enter)
      signal.addEventListener("abort", leave, { once: true })
    })

  return {
    isContended: () => waiting.size > 0,
    acquire: async (signal) => {
      // React Native's signals have no `throwIfAborted`.
      if (signal.aborted) throw signal.reason as Error
      if (free > 0) {
        free -= 1
        return release
      }
      if (waiting.size >= maxWaiting) throw new QueueFull()
      return wait(signal)
    }
  }
}
