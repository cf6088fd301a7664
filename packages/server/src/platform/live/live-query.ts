import type { ServiceUnavailable } from "@holdfast/domain"
import { Cause, Effect, Queue, type Scope, Stream } from "effect"
import { makeWatchers } from "./subscribers.ts"

/** A kind of state that can be watched: what it is, and how it is read from the database. */
export interface Watchable<K extends string, S, R> {
  /** Tells it from the other kinds, `order` for instance. */
  readonly kind: string
  /** What is committed at this moment, by one statement; keys that do not exist are left out. */
  readonly read: (keys: ReadonlyArray<K>) => Effect.Effect<ReadonlyMap<K, S>, ServiceUnavailable, R>
  /** Rises with every change of one key's state. */
  readonly versionOf: (state: S) => number
}

/** Shows the states of one kind to all who watch them in this process. */
export interface LiveQuery<K, S> {
  /**
   * The state as it is now, then every later one; `undefined` when there is nothing with this key. Who takes longer
   * than the next change gets the latest state only. It never goes back.
   */
  readonly watch: (key: K) => Stream.Stream<S | undefined, ServiceUnavailable>
  /** Tells all processes that these have changed. Called after the commit; waits for nothing. */
  readonly announce: (keys: ReadonlyArray<K>) => Effect.Effect<void>
}

/** Looks again at what is watched. */
export interface Refresher<K> {
  /** These may have changed; those that nobody watches do not matter. */
  readonly refresh: (keys: Iterable<K>) => void
  readonly refreshAll: () => void
}

/** Keys that one statement asks for. */
const AT_ONCE = 1_000

/** A rest between two looks: what changes all the time must not keep the process busy. */
const REST_MS = 10

/**
 * The board of one kind and what makes it look. One look at a time serves all subscribers, so nobody sees states out of
 * their order; while nobody watches there is none.
 */
export const makeLiveQuery = <K extends string, S, R>({
  read,
  versionOf
}: Omit<Watchable<K, S, R>, "kind">): Effect.Effect<
  Pick<LiveQuery<K, S>, "watch"> & Refresher<K>,
  never,
  R | Scope.Scope
> =>
  Effect.gen(function* () {
    const toLookAt = new Set<K>()
    const looks = yield* Queue.sliding<void>(1)
    const refresh = (keys: Iterable<K>) => {
      for (const key of keys) if (watchers.has(key)) toLookAt.add(key)
      if (toLookAt.size > 0) Queue.offerUnsafe(looks, undefined)
    }
    const watchers = yield* makeWatchers<K, S>(versionOf, (key) => refresh([key]))

    /** What a look finds is told to those who were there when it began: to others it may be older than their question. */
    const look = Effect.suspend(() => {
      const keys = [...toLookAt].slice(0, AT_ONCE)
      for (const key of keys) toLookAt.delete(key)
      const present = keys.map(watchers.present)
      return Effect.matchCauseEffect(read(keys), {
        onSuccess: (states) =>
          Effect.forEach(present, (those) => watchers.tell(those, states.get(those.key)), { discard: true }),
        onFailure: (cause) =>
          Effect.andThen(
            reportDefect(cause),
            Effect.sync(() => present.forEach((those) => watchers.refuse(those, cause)))
          )
      })
    })

    const lookAround = Effect.gen(function* () {
      yield* Queue.take(looks)
      while (toLookAt.size > 0) {
        yield* look
        yield* Effect.sleep(REST_MS)
      }
    })
    yield* Effect.forkScoped(Effect.forever(lookAround))

    return {
      refresh,
      refreshAll: () => refresh(watchers.keys()),
      watch: (key) =>
        Stream.unwrap(
          Effect.map(watchers.enter(key), ({ queue }) => {
            refresh([key])
            return Stream.fromQueue(queue)
          })
        )
    }
  })

const reportDefect = (cause: Cause.Cause<ServiceUnavailable>) =>
  Cause.hasDies(cause) ? Effect.logError("what is watched could not be read", cause) : Effect.void
