import type { ServiceUnavailable } from "@holdfast/domain"
import { type Cause, Effect, Queue, type Scope } from "effect"

export interface Subscriber<S> {
  /** Holds the latest state that the subscriber has not taken yet; `undefined`: the key does not exist. */
  readonly queue: Queue.Queue<S | undefined, ServiceUnavailable>
  /** The version of the last state that was offered. */
  version: number
}

/** The subscribers of a key at one moment. */
export interface Audience<K, S> {
  readonly key: K
  readonly subscribers: ReadonlyArray<Subscriber<S>>
}

const NO_VERSION = -1

/**
 * How long a key is throttled for each subscriber that received an update. An update takes about a fifth of a
 * millisecond a subscriber, and throttling leaves the process time for its requests.
 */
const THROTTLE_PER_SUBSCRIBER_MS = 0.5

/**
 * The subscribers of one live query, by key.
 *
 * @param versionOf rises with every change of a key's state: a subscriber gets no state twice, and none that is older.
 * @param onThrottleEnd called after a throttle during which an update was held back.
 */
export const makeSubscribers = <K, S>(versionOf: (state: S) => number, onThrottleEnd: (key: K) => void) =>
  Effect.map(Effect.scope, (scope) => {
    const byKey = new Map<K, Set<Subscriber<S>>>()
    const throttles = new Map<K, { hasUpdate: boolean }>()

    const join = (key: K) =>
      Effect.map(Queue.sliding<S | undefined, ServiceUnavailable>(1), (queue) => {
        const subscriber: Subscriber<S> = { queue, version: NO_VERSION }
        byKey.set(key, (byKey.get(key) ?? new Set()).add(subscriber))
        return subscriber
      })

    const leave = (key: K, subscriber: Subscriber<S>) =>
      Effect.sync(() => {
        const all = byKey.get(key)
        all?.delete(subscriber)
        if (all?.size === 0) byKey.delete(key)
      })

    const startThrottle = (key: K, throttleMs: number) => {
      const throttle = { hasUpdate: false }
      throttles.set(key, throttle)
      const end = Effect.sync(() => {
        throttles.delete(key)
        if (throttle.hasUpdate) onThrottleEnd(key)
      })
      return Effect.forkIn(Effect.andThen(Effect.sleep(throttleMs), end), scope)
    }

    return {
      keys: () => byKey.keys(),
      has: (key: K) => byKey.has(key),
      audienceOf: (key: K): Audience<K, S> => ({ key, subscribers: [...(byKey.get(key) ?? [])] }),

      /** Adds a subscriber, until the scope closes. */
      subscribe: (key: K): Effect.Effect<Subscriber<S>, never, Scope.Scope> =>
        Effect.acquireRelease(join(key), (subscriber) => leave(key, subscriber)),

      /** Every subscriber takes the next state, whatever its version. */
      forgetVersions: () => {
        for (const subscribers of byKey.values())
          for (const subscriber of subscribers) subscriber.version = NO_VERSION
      },

      /** Offers a state. While the key is throttled, only subscribers without any state receive it. */
      publish: ({ key, subscribers }: Audience<K, S>, state: S | undefined): Effect.Effect<void> => {
        const throttle = throttles.get(key)
        if (throttle !== undefined) throttle.hasUpdate = true
        const receivers = throttle === undefined ? subscribers : subscribers.filter(isWithoutState)
        const version = state === undefined ? NO_VERSION : versionOf(state)
        const updated = receivers.filter((subscriber) => offer(subscriber, state, version)).length
        return throttle === undefined && updated > 0
          ? startThrottle(key, updated * THROTTLE_PER_SUBSCRIBER_MS)
          : Effect.void
      }
    }
  })

const isWithoutState = <S>({ version }: Subscriber<S>): boolean => version === NO_VERSION

/** Returns whether the state is newer than the subscriber's last one. */
const offer = <S>(subscriber: Subscriber<S>, state: S | undefined, version: number): boolean => {
  if (state !== undefined && version <= subscriber.version) return false
  subscriber.version = version
  Queue.offerUnsafe(subscriber.queue, state)
  return true
}

/** Fails the subscribers without any state; the others wait for the next refresh. */
export const failAudience = <K, S>(
  { subscribers }: Audience<K, S>,
  cause: Cause.Cause<ServiceUnavailable>
): void => {
  for (const { queue } of subscribers.filter(isWithoutState)) Queue.failCauseUnsafe(queue, cause)
}
