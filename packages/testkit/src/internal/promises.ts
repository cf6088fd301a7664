/** A promise together with its settlers. */
export interface Settler<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Makes a promise that may reject before the test awaits it. Tests often keep such a promise for later
 * (`handle.fired`), so an early rejection must not count as unhandled.
 */
export const settler = <A>(): Settler<A> => {
  const made = Promise.withResolvers<A>()
  made.promise.catch(() => {})
  return made
}

/**
 * Waits for `work`, but no longer than `deadlineMs`. Whichever of the two loses is ignored, a later rejection included.
 *
 * @param late what did not happen ("the server did not answer"), or a function that makes the error
 */
export const withDeadline = async <A>(
  work: PromiseLike<A>,
  deadlineMs: number,
  late: string | (() => Error)
): Promise<A> => {
  const deadline = settler<never>()
  const expire = () =>
    deadline.reject(typeof late === "string" ? new Error(`${late} within ${deadlineMs} ms`) : late())
  const timer = setTimeout(expire, deadlineMs)
  try {
    return await Promise.race([work, deadline.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits `ms`. Used to pace work, never to synchronise it. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
