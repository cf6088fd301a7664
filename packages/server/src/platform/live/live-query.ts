import type { ServiceUnavailable, TooManySubscriptions } from "@holdfast/domain"
import { Cause, Effect, Queue, type Scope, Stream } from "effect"
import { failAudience, makeSubscribers } from "./subscribers.ts"

export interface LiveQueryDefinition<K extends string, S, R> {
  /** Distinguishes the live queries of a server. */
  readonly kind: string
  /** Reads the committed states in one statement; keys that do not exist are left out. */
  readonly read: (keys: ReadonlyArray<K>) => Effect.Effect<ReadonlyMap<K, S>, ServiceUnavailable, R>
  /** Rises with every change of a key's state. */
  readonly versionOf: (state: S) => number
}

/** Streams states of one kind, by key, to subscribers in this process. */
export interface LiveQuery<K, S> {
  /**
   * The current state and then later ones; `undefined` when the key does not exist. States never go back, and a slow
   * subscriber gets only the latest.
   */
  readonly watch: (key: K) => Stream.Stream<S | undefined, ServiceUnavailable | TooManySubscriptions>
  /** Notifies all processes that these keys have changed. Call it after the commit; it waits for nothing. */
  readonly notify: (keys: ReadonlyArray<K>) => Effect.Effect<void>
}

/** A live query before it counts its subscribers. */
interface Watched<K, S> {
  readonly watch: (key: K) => Stream.Stream<S | undefined, ServiceUnavailable>
}

/** Reads keys again that have subscribers. */
export interface Refresher<K> {
  readonly refresh: (keys: Iterable<K>) => void
  readonly refreshAll: () => void
  /** What is read next goes to every subscriber, even with a lower version. */
  readonly forgetVersions: () => void
}

/** Keys that one statement reads. */
const BATCH = 1_000

/** The pause between two refreshes, so that a key that changes all the time does not keep the process busy. */
const REFRESH_PAUSE_MS = 10

/**
 * A live query in this process. Refreshes run one at a time and serve all subscribers, so states arrive in order;
 * without subscribers there is none.
 */
export const makeLiveQuery = <K extends string, S, R>({
  read,
  versionOf
}: Omit<LiveQueryDefinition<K, S, R>, "kind">): Effect.Effect<
  Watched<K, S> & Refresher<K>,
  never,
  R | Scope.Scope
> =>
  Effect.gen(function* () {
    const pending = new Set<K>()
    const wakeUps = yield* Queue.sliding<void>(1)
    const refresh = (keys: Iterable<K>) => {
      for (const key of keys) if (subscribers.has(key)) pending.add(key)
      if (pending.size > 0) Queue.offerUnsafe(wakeUps, undefined)
    }
    const subscribers = yield* makeSubscribers<K, S>(versionOf, (key) => refresh([key]))

    /** The audience is fixed before the read: for later subscribers the state may be older than their request. */
    const refreshBatch = Effect.suspend(() => {
      const keys = [...pending].slice(0, BATCH)
      for (const key of keys) pending.delete(key)
      const audiences = keys.map(subscribers.audienceOf)
      return Effect.matchCauseEffect(read(keys), {
        onSuccess: (states) =>
          Effect.forEach(audiences, (audience) => subscribers.publish(audience, states.get(audience.key)), {
            discard: true
          }),
        onFailure: (cause) =>
          Effect.andThen(
            reportDefect(cause),
            Effect.sync(() => audiences.forEach((audience) => failAudience(audience, cause)))
          )
      })
    })

    const refreshPending = Effect.gen(function* () {
      yield* Queue.take(wakeUps)
      while (pending.size > 0) {
        yield* refreshBatch
        yield* Effect.sleep(REFRESH_PAUSE_MS)
      }
    })
    yield* Effect.forkScoped(Effect.forever(refreshPending))

    return {
      refresh,
      refreshAll: () => refresh(subscribers.keys()),
      forgetVersions: subscribers.forgetVersions,
      watch: (key) =>
        Stream.unwrap(
          Effect.map(subscribers.subscribe(key), ({ queue }) => {
            refresh([key])
            return Stream.fromQueue(queue)
          })
        )
    }
  })

const reportDefect = (cause: Cause.Cause<ServiceUnavailable>) =>
  Cause.hasDies(cause) ? Effect.logError("a live query could not be refreshed", cause) : Effect.void
