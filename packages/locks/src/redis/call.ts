import { Effect } from "effect"
import { StoreAway } from "../backend.ts"

/** Errors of a server that answers and still cannot serve anybody: it is loading, a replica, full, or without its peers. */
const SERVES_NOBODY = /^(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|MISCONF|OOM|BUSY|TRYAGAIN)\b/

const isEverywhere = (cause: unknown): boolean =>
  !(cause instanceof Error) || cause.name !== "ReplyError" || SERVES_NOBODY.test(cause.message)

/** Asks Redis and waits for the answer, but no longer than this. Interruption stops the waiting, not the command. */
export const call = <A>(ask: () => Promise<A>, withinMs: number): Effect.Effect<A, StoreAway> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => {
      resume(
        Effect.fail(new StoreAway({ everywhere: true, cause: new Error(`no answer within ${withinMs} ms`) }))
      )
    }, withinMs)
    ask().then(
      (answer) => {
        clearTimeout(timer)
        resume(Effect.succeed(answer))
      },
      (cause: unknown) => {
        clearTimeout(timer)
        resume(Effect.fail(new StoreAway({ everywhere: isEverywhere(cause), cause })))
      }
    )
    return Effect.sync(() => clearTimeout(timer))
  })
