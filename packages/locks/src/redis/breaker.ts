import { Data, Effect, type Scope } from "effect"
import { answerWithin } from "../answer-within.ts"
import { makeStoreBreaker } from "../breaker.ts"

/** Error replies of a server that can serve no caller: it is loading, a replica, full, busy, cut off from its peers, or has its keys elsewhere. */
const SERVES_NO_CALLER =
  /^(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|MISCONF|OOM|BUSY|TRYAGAIN|MOVED|ASK|NOAUTH)\b/

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

/** Makes the breaker of a Redis, see {@link makeStoreBreaker}. */
export const makeBreaker = (
  probe: Effect.Effect<unknown, RedisUnavailable>
): Effect.Effect<Breaker, never, Scope.Scope> =>
  Effect.map(makeStoreBreaker("Redis", probe), ({ check, isUp, trip }) => ({
    isUp,
    ask: (call, withinMs) =>
      Effect.andThen(
        check,
        answerWithin(call, withinMs, (cause) => new RedisUnavailable({ cause })).pipe(
          Effect.tapError((failure) => (failure.everywhere ? trip(failure) : Effect.void))
        )
      )
  }))
