import { ServiceUnavailable, TooManySubscriptions } from "@holdfast/domain"
import type { RedisStore } from "@holdfast/locks"
import { Context, Duration, Effect, Layer, Metric, type Scope, Stream } from "effect"
import { PlatformConfig, type PlatformSettings } from "../config.ts"
import { KeyNamespace } from "../db/key-namespace.ts"
import { type LiveQuery, type LiveQueryDefinition, makeLiveQuery, type Refresher } from "./live-query.ts"
import { makeNotifications } from "./notifications.ts"

/** The longest delay of an update whose notification was lost: its process died, or Redis is unavailable. */
const REFRESH_INTERVAL_MS = 1_000

/** The `retryAfterMs` of a subscription that is refused because there are too many. */
const RETRY_AFTER_MS = 1_000

const subscriptions = Metric.gauge("holdfast_subscriptions", {
  description: "Subscriptions that the process serves"
})

/** Whom the subscriptions of a request count for. */
export const Subscriber = Context.Reference<string>("@holdfast/server/Subscriber", {
  defaultValue: () => "the server itself"
})

/**
 * Live queries stream committed states of the database to subscribers. A process that commits a change publishes its
 * key, and every process with subscribers of that key reads it again. Messages carry no data, so subscribers only see
 * committed states, and a lost message only delays an update.
 */
export class LiveQueries extends Context.Service<
  LiveQueries,
  {
    /** Makes the live query of one kind of state. */
    readonly make: <K extends string, S, R>(
      definition: LiveQueryDefinition<K, S, R>
    ) => Effect.Effect<LiveQuery<K, S>, never, R | Scope.Scope>
  }
>()("@holdfast/server/LiveQueries") {
  static readonly layer: Layer.Layer<LiveQueries, never, RedisStore | KeyNamespace | PlatformConfig> =
    Layer.effect(
      LiveQueries,
      Effect.gen(function* () {
        const refreshers = new Map<string, Refresher<string>>()
        const refreshAll = () => {
          for (const refresher of refreshers.values()) refresher.refreshAll()
        }
        const notifications = yield* makeNotifications({
          onNotification: (kind, keys) => refreshers.get(kind)?.refresh(keys),
          onReconnect: refreshAll
        })
        const epoch = Effect.orElseSucceed((yield* KeyNamespace).epoch, () => undefined)
        let last: string | undefined
        const refreshAgain = Effect.map(epoch, (current) => {
          // The versions of a restored database have gone back.
          if (last !== undefined && current !== undefined && current !== last)
            for (const refresher of refreshers.values()) refresher.forgetVersions()
          last = current ?? last
          refreshAll()
        })
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.suspend(pause), refreshAgain)))
        const admit = makeAdmission(yield* PlatformConfig)
        return {
          make: <K extends string, S, R>({ kind, ...definition }: LiveQueryDefinition<K, S, R>) =>
            Effect.gen(function* () {
              const { watch, ...refresher } = yield* makeLiveQuery<K, S, R>(definition)
              refreshers.set(kind, refresher as Refresher<string>)
              const liveQuery: LiveQuery<K, S> = {
                notify: (keys) => notifications.notify(kind, keys),
                watch: (key) => admit(Stream.unwrap(Effect.as(notifications.listening, watch(key))))
              }
              return liveQuery
            })
        }
      })
    )
}

/** Jitter, to avoid lockstep between processes that started together. */
const pause = () => Effect.sleep(Duration.millis(REFRESH_INTERVAL_MS * (0.75 + Math.random() / 2)))

/** Admits a maximum of open subscriptions of all kinds, and of each caller, and refuses the others at once. */
const makeAdmission = ({
  maximumSubscriptions,
  maximumSubscriptionsPerCaller: maximum
}: PlatformSettings) => {
  let open = 0
  const openOf = new Map<string, number>()
  const enter = (subscriber: string) =>
    Effect.suspend((): Effect.Effect<void, ServiceUnavailable | TooManySubscriptions> => {
      const own = openOf.get(subscriber) ?? 0
      if (own >= maximum) return Effect.fail(new TooManySubscriptions({ maximum }))
      if (open >= maximumSubscriptions)
        return Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
      open += 1
      openOf.set(subscriber, own + 1)
      return Metric.update(subscriptions, open)
    })
  const leave = (subscriber: string) =>
    Effect.suspend(() => {
      open -= 1
      const others = openOf.get(subscriber)! - 1
      if (others === 0) openOf.delete(subscriber)
      else openOf.set(subscriber, others)
      return Metric.update(subscriptions, open)
    })
  return <S, E>(stream: Stream.Stream<S, E>) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const subscriber = yield* Subscriber
        yield* Effect.acquireRelease(enter(subscriber), () => leave(subscriber))
        return stream
      })
    )
}
