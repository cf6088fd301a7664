import { Cause, Effect, Queue, type Scope, Stream } from "effect"
import type { ServiceUnavailable } from "@holdfast/domain"

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
export interface Board<K, S> {
  /**
   * The state as it is now, then every later one; `undefined` when there is nothing with this key. Who takes longer
   * than the next change gets the latest state only. It never goes back.
   */
  readonly watch: (key: K) => Stream.Stream<S | undefined, ServiceUnavailable>
  /** Tells all processes that these have changed. Called after the commit; waits for nothing. */
  readonly announce: (keys: ReadonlyArray<K>) => Effect.Effect<void>
}

/** Looks again at what is watched. */
export interface Lookout<K> {
  /** These may have changed; those that nobody watches do not matter. */
  readonly lookAt: (keys: Iterable<K>) => void
  readonly lookAtAll: () => void
}

/** One subscriber. Its queue holds the latest state that it has not taken yet. */
interface Watcher<S> {
  readonly queue: Queue.Queue<S | undefined, ServiceUnavailable>
  /** Of the last state that was put there. */
  version: number
}

/** Keys, and who watched them when the look began. */
type Present<K, S> = ReadonlyArray<readonly [K, ReadonlyArray<Watcher<S>>]>

const NOTHING_YET = -1

/** Keys that one statement asks for. */
const AT_ONCE = 1_000

/** A rest between two looks: what changes all the time must not keep the process busy. */
const REST_MS = 10

/**
 * And a rest of a key for every subscriber who was told: telling takes about a fifth of a millisecond each, and those
 * who buy come before those who watch.
 */
const REST_PER_TOLD_MS = 0.5

/**
 * The board of one kind and what makes it look. One look at a time serves all subscribers, so nobody sees states out of
 * their order; while nobody watches there is none.
 */
export const makeBoard = <K extends string, S, R>({
  read,
  versionOf
}: Omit<Watchable<K, S, R>, "kind">): Effect.Effect<
  Pick<Board<K, S>, "watch"> & Lookout<K>,
  never,
  R | Scope.Scope
> =>
  Effect.gen(function* () {
    const watchers = new Map<K, Set<Watcher<S>>>()
    const toLookAt = new Set<K>()
    /** Keys whose subscribers were told a moment ago, and whether they are behind by now. */
    const resting = new Map<K, { isBehind: boolean }>()
    const scope = yield* Effect.scope
    const looks = yield* Queue.sliding<void>(1)

    const lookAt = (keys: Iterable<K>) => {
      for (const key of keys) if (watchers.has(key)) toLookAt.add(key)
      if (toLookAt.size > 0) Queue.offerUnsafe(looks, undefined)
    }

    const enter = (key: K) =>
      Effect.gen(function* () {
        const queue = yield* Queue.sliding<S | undefined, ServiceUnavailable>(1)
        const watcher: Watcher<S> = { queue, version: NOTHING_YET }
        const others = watchers.get(key)
        if (others === undefined) watchers.set(key, new Set([watcher]))
        else others.add(watcher)
        return watcher
      })

    const leave = (key: K, watcher: Watcher<S>) =>
      Effect.sync(() => {
        const all = watchers.get(key)
        all?.delete(watcher)
        if (all?.size === 0) watchers.delete(key)
      })

    /** Returns whether the state was news. */
    const tell = (watcher: Watcher<S>, state: S | undefined): boolean => {
      const version = state === undefined ? NOTHING_YET : versionOf(state)
      if (state !== undefined && version <= watcher.version) return false
      watcher.version = version
      Queue.offerUnsafe(watcher.queue, state)
      return true
    }

    /** While a key rests, only those who have seen nothing yet are told of it. */
    const tellAll = (key: K, those: ReadonlyArray<Watcher<S>>, state: S | undefined): Effect.Effect<void> => {
      const rest = resting.get(key)
      if (rest !== undefined) rest.isBehind = true
      const waiting = rest === undefined ? those : those.filter(({ version }) => version === NOTHING_YET)
      const told = waiting.filter((watcher) => tell(watcher, state)).length
      return rest === undefined && told > 0 ? letRest(key, told * REST_PER_TOLD_MS) : Effect.void
    }

    const letRest = (key: K, restMs: number) => {
      const rest = { isBehind: false }
      resting.set(key, rest)
      return Effect.sleep(restMs).pipe(
        Effect.andThen(
          Effect.sync(() => {
            resting.delete(key)
            if (rest.isBehind) lookAt([key])
          })
        ),
        Effect.forkIn(scope)
      )
    }

    /** Who has seen a state waits for the next look; who has not is told at once. */
    const refuse = (present: Present<K, S>, cause: Cause.Cause<ServiceUnavailable>) => {
      for (const [, those] of present)
        for (const { queue, version } of those)
          if (version === NOTHING_YET) Queue.failCauseUnsafe(queue, cause)
    }

    /** What a look finds is told to those who were there when it began: to others it may be older than their question. */
    const look = Effect.suspend(() => {
      const keys = [...toLookAt].slice(0, AT_ONCE)
      const present = keys.map((key) => {
        toLookAt.delete(key)
        return [key, [...(watchers.get(key) ?? [])]] as const
      })
      return Effect.matchCauseEffect(read(keys), {
        onSuccess: (states) =>
          Effect.forEach(present, ([key, those]) => tellAll(key, those, states.get(key)), { discard: true }),
        onFailure: (cause) =>
          Effect.andThen(
            reportDefect(cause),
            Effect.sync(() => refuse(present, cause))
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
      lookAt,
      lookAtAll: () => lookAt(watchers.keys()),
      watch: (key) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const watcher = yield* Effect.acquireRelease(enter(key), (entered) => leave(key, entered))
            lookAt([key])
            return Stream.fromQueue(watcher.queue)
          })
        )
    }
  })

const reportDefect = (cause: Cause.Cause<ServiceUnavailable>) =>
  Cause.hasDies(cause) ? Effect.logError("what is watched could not be read", cause) : Effect.void
