import { ServiceUnavailable } from "@holdfast/domain"
import type { RedisStore } from "@holdfast/locks"
import { Context, Duration, Effect, Layer, type Scope, Semaphore, Stream } from "effect"
import { PlatformConfig } from "../config.ts"
import type { KeyNamespace } from "../db/key-namespace.ts"
import { type LiveQuery, type LiveQueryDefinition, makeLiveQuery, type Refresher } from "./live-query.ts"
import { makeNotifications } from "./notifications.ts"

/** The longest delay of an update whose notification was lost: its process died, or Redis is unavailable. */
const REFRESH_INTERVAL_MS = 1_000

/** The `retryAfterMs` of a subscription that is refused because there are too many. */
const RETRY_AFTER_MS = 1_000

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
        const { maximumSubscriptions } = yield* PlatformConfig
        const refreshers = new Map<string, Refresher<string>>()
        const refreshAll = () => {
          for (const refresher of refreshers.values()) refresher.refreshAll()
        }
        const notifications = yield* makeNotifications({
          onNotification: (kind, keys) => refreshers.get(kind)?.refresh(keys),
          onReconnect: refreshAll
        })
        yield* Effect.forkScoped(
          Effect.forever(Effect.andThen(Effect.suspend(pause), Effect.sync(refreshAll)))
        )
        const admit = yield* makeAdmission(maximumSubscriptions)
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

/** Admits a maximum of open subscriptions, of all kinds, and refuses the others at once. */
const makeAdmission = (maximum: number) =>
  Effect.map(Semaphore.make(maximum), (permits) => {
    const enter = Effect.flatMap(permits.takeIfAvailable(1), (isAdmitted) =>
      isAdmitted ? Effect.void : Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
    )
    return <S, E>(stream: Stream.Stream<S, E>): Stream.Stream<S, E | ServiceUnavailable> =>
      Stream.unwrap(
        Effect.as(
          Effect.acquireRelease(enter, () => permits.release(1)),
          stream
        )
      )
  })
