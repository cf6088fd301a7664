import type { ServiceUnavailable } from "@holdfast/domain"
import { type Cause, Effect, Queue, type Scope } from "effect"

/** One subscriber. Its queue holds the latest state that it has not taken yet; `undefined`: there is none. */
export interface Watcher<S> {
  readonly queue: Queue.Queue<S | undefined, ServiceUnavailable>
  /** Of the last state that was put there. */
  version: number
}

/** Those who watch a key at one moment. */
export interface Present<K, S> {
  readonly key: K
  readonly watchers: ReadonlyArray<Watcher<S>>
}

const NOTHING_YET = -1

/**
 * How long a key rests for every subscriber who was told: telling takes about a fifth of a millisecond each, and those
 * who buy come before those who watch.
 */
const REST_PER_TOLD_MS = 0.5

/**
 * The subscribers of one kind of state, by key.
 * @param versionOf rises with every change of one key's state: nobody is told the same twice, or an older one
 * @param onBehind called when a key has rested, and its subscribers may be behind
 */
export const makeWatchers = <K, S>(versionOf: (state: S) => number, onBehind: (key: K) => void) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const byKey = new Map<K, Set<Watcher<S>>>()
    /** Keys whose subscribers were told a moment ago, and whether they are behind by now. */
    const resting = new Map<K, { isBehind: boolean }>()

    const enter = (key: K) =>
      Effect.map(Queue.sliding<S | undefined, ServiceUnavailable>(1), (queue) => {
        const watcher: Watcher<S> = { queue, version: NOTHING_YET }
        byKey.set(key, (byKey.get(key) ?? new Set()).add(watcher))
        return watcher
      })

    const leave = (key: K, watcher: Watcher<S>) =>
      Effect.sync(() => {
        const all = byKey.get(key)
        all?.delete(watcher)
        if (all?.size === 0) byKey.delete(key)
      })

    /** Returns whether the state was news. */
    const tellOne = (watcher: Watcher<S>, state: S | undefined): boolean => {
      const version = state === undefined ? NOTHING_YET : versionOf(state)
      if (state !== undefined && version <= watcher.version) return false
      watcher.version = version
      Queue.offerUnsafe(watcher.queue, state)
      return true
    }

    const letRest = (key: K, restMs: number) => {
      const rest = { isBehind: false }
      resting.set(key, rest)
      const end = Effect.sync(() => {
        resting.delete(key)
        if (rest.isBehind) onBehind(key)
      })
      return Effect.forkIn(Effect.andThen(Effect.sleep(restMs), end), scope)
    }

    return {
      keys: () => byKey.keys(),
      has: (key: K) => byKey.has(key),
      present: (key: K): Present<K, S> => ({ key, watchers: [...(byKey.get(key) ?? [])] }),

      /** Enters a subscriber, who leaves with the scope. */
      enter: (key: K): Effect.Effect<Watcher<S>, never, Scope.Scope> =>
        Effect.acquireRelease(enter(key), (watcher) => leave(key, watcher)),

      /** Tells them the state. While the key rests, only those are told who have seen nothing yet. */
      tell: ({ key, watchers }: Present<K, S>, state: S | undefined): Effect.Effect<void> => {
        const rest = resting.get(key)
        if (rest !== undefined) rest.isBehind = true
        const waiting =
          rest === undefined ? watchers : watchers.filter(({ version }) => version === NOTHING_YET)
        const told = waiting.filter((watcher) => tellOne(watcher, state)).length
        return rest === undefined && told > 0 ? letRest(key, told * REST_PER_TOLD_MS) : Effect.void
      },

      /** Ends those who have seen nothing yet; the others wait for the next look. */
      refuse: ({ watchers }: Present<K, S>, cause: Cause.Cause<ServiceUnavailable>): void => {
        for (const { queue, version } of watchers)
          if (version === NOTHING_YET) Queue.failCauseUnsafe(queue, cause)
      }
    }
  })
