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
    let late: NodeJS.Immediate | undefined
    const stopTimer = () => {
      clearTimeout(timer)
      clearImmediate(late)
    }
    const timer =
      withinMs === undefined
        ? undefined
        : setTimeout(() => {
            // A busy event loop runs late timers before it reads answers that are already there.
            late = setImmediate(() => fail(new Error(`no answer within ${withinMs} ms`)))
          }, withinMs)
    const fail = (cause: unknown) => {
      stopTimer()
      resume(Effect.fail(failure(cause)))
    }
    try {
      call().then((answer) => {
        stopTimer()
        resume(Effect.succeed(answer))
      }, fail)
    } catch (thrown) {
      fail(thrown)
    }
    return Effect.sync(stopTimer)
  })
