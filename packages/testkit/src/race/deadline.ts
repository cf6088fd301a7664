/** A promise with its settlers, and a mark that it may be rejected without anybody having looked at it yet. */
export interface Settler<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Makes a promise that may be rejected before the test awaits it. A test often holds such a promise for later
 * (`handle.fired`), so its rejection must not count as unhandled in the meantime.
 */
export const settler = <A>(): Settler<A> => {
  const made = Promise.withResolvers<A>()
  made.promise.catch(() => {})
  return made
}

/**
 * Waits for `work`, but no longer than `deadlineMs`; then rejects with what `onDeadline` makes.
 * The loser's later rejection is swallowed, so it never becomes an unhandled one.
 */
export const withDeadline = async <A>(
  work: PromiseLike<A>,
  deadlineMs: number,
  onDeadline: () => Error
): Promise<A> => {
  const deadline = settler<never>()
  const timer = setTimeout(() => deadline.reject(onDeadline()), deadlineMs)
  try {
    return await Promise.race([work, deadline.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits `ms`; used to pace, never to synchronise. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
