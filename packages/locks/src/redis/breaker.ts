import { Data, Effect, Metric, type Scope } from "effect"
import { answerWithin } from "../answer-within.ts"

/** Error replies of a server that can serve no caller: it is loading, a replica, full, busy, or cut off from its peers. */
const SERVES_NO_CALLER =
  /^(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|MISCONF|OOM|BUSY|TRYAGAIN|NOAUTH)\b/

/** Errors of the code that makes the call, such as a reply that it cannot parse. They say nothing about Redis. */
const bugs = [TypeError, RangeError, SyntaxError, ReferenceError]

const isEverywhere = (cause: unknown): boolean => {
  if (!(cause instanceof Error)) return true
  if (cause.name === "ReplyError") return SERVES_NO_CALLER.test(cause.message)
  return !bugs.some((bug) => cause instanceof bug)
}

/** Redis did not answer a call, or refused it. Callers have another way to go, or try again later. */
export class RedisUnavailable extends Data.TaggedError("RedisUnavailable")<{
  /** The error of the client, or the error reply of the server. */
  readonly cause: unknown
}> {
  /**
   * `true`: Redis serves no caller at present (no answer in time, no connection, or an error reply such as `LOADING`).
   * `false`: it refused only this call (an error reply such as `WRONGTYPE` or `NOGROUP`).
   */
  readonly everywhere = isEverywhere(this.cause)
  override get message() {
    return this.cause instanceof Error ? this.cause.message : String(this.cause)
  }
}

/** Keeps callers from waiting for a store that is known to be away. */
export interface Breaker {
  /** Whether the store answers, as far as this process knows. */
  readonly isUp: () => boolean
  /**
   * Makes a call and waits for its answer, at most `withinMs` when that is given. While the store is away it fails at
   * once, without a call. A failure that concerns the whole store makes the store count as away.
   */
  readonly ask: <A>(call: () => Promise<A>, withinMs?: number) => Effect.Effect<A, RedisUnavailable>
}

const PROBE_EVERY_MS = 200

const timesAway = Metric.counter("holdfast_lock_store_away_total", {
  description: "Times that Redis went away",
  incremental: true
})

/** Makes a breaker. While the store is away a fiber of the scope pings it every 200 ms; the first answer brings it back. */
export const makeBreaker = (
  ping: Effect.Effect<unknown, RedisUnavailable>
): Effect.Effect<Breaker, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let away: RedisUnavailable | undefined
    const probe: Effect.Effect<void> = Effect.sleep(PROBE_EVERY_MS).pipe(
      Effect.andThen(ping),
      Effect.matchEffect({
        onFailure: () => probe,
        onSuccess: () => {
          away = undefined
          return Effect.logInfo("Redis is back")
        }
      })
    )
    const trip = (failure: RedisUnavailable): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!failure.everywhere || away !== undefined) return Effect.void
        away = failure
        return Effect.forkIn(probe, scope).pipe(
          Effect.andThen(Metric.update(timesAway, 1)),
          Effect.andThen(
            Effect.logWarning("Redis is away; calls fail at once until it is back", failure.cause)
          ),
          Effect.uninterruptible
        )
      })
    return {
      isUp: () => away === undefined,
      ask: (call, withinMs) =>
        Effect.suspend(() =>
          away === undefined
            ? Effect.tapError(
                answerWithin(call, withinMs, (cause) => new RedisUnavailable({ cause })),
                trip
              )
            : Effect.fail(away)
        )
    }
  })
