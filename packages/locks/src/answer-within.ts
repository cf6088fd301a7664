import { Effect } from "effect"

/**
 * Waits for the answer to a call, at most `withinMs` when that is given. Interruption ends the wait; a command that was
 * sent stays sent.
 */
export const answerWithin = <A, E>(
  call: () => Promise<A>,
  withinMs: number | undefined,
  failure: (cause: unknown) => E
): Effect.Effect<A, E> =>
  Effect.callback((resume) => {
    const timer =
      withinMs === undefined
        ? undefined
        : setTimeout(() => fail(new Error(`no answer within ${withinMs} ms`)), withinMs)
    const fail = (cause: unknown) => {
      clearTimeout(timer)
      resume(Effect.fail(failure(cause)))
    }
    try {
      call().then((answer) => {
        clearTimeout(timer)
        resume(Effect.succeed(answer))
      }, fail)
    } catch (thrown) {
      fail(thrown)
    }
    return Effect.sync(() => clearTimeout(timer))
  })
