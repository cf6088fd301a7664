import { ServiceUnavailable } from "@holdfast/domain"
import { Context, Duration, Effect, Layer, type Scope, Stream } from "effect"
import { PlatformConfig } from "../config.ts"
import type { KeyNamespace } from "../db/key-namespace.ts"
import type { RedisStore } from "@holdfast/locks"
import { type LiveQuery, type Refresher, makeLiveQuery, type Watchable } from "./live-query.ts"
import { makeChanges } from "./notifications.ts"

/** How long a change may go unnoticed that nobody could announce: its process died, or Redis is away. */
const LOOK_EVERY_MS = 1_000

/** What a subscriber is told to wait when there are too many. */
const RETRY_AFTER_MS = 1_000

/**
 * What lets subscribers follow a state of the database. A process that has changed one announces it after the commit;
 * every process in which somebody watches it then reads it anew. The message says that something changed, never what:
 * so the subscribers are told what is committed and nothing else, and a lost message only costs them a moment.
 */
export class LiveQueries extends Context.Service<
  LiveQueries,
  {
    /** Makes the board of a kind of state. */
    readonly board: <K extends string, S, R>(
      watchable: Watchable<K, S, R>
    ) => Effect.Effect<LiveQuery<K, S>, never, R | Scope.Scope>
  }
>()("@holdfast/server/LiveQueries") {
  static readonly layer: Layer.Layer<LiveQueries, never, RedisStore | KeyNamespace | PlatformConfig> =
    Layer.effect(
      LiveQueries,
      Effect.gen(function* () {
        const { maximumSubscriptions } = yield* PlatformConfig
        const lookouts = new Map<string, Refresher<string>>()
        const refreshAll = () => {
          for (const lookout of lookouts.values()) lookout.refreshAll()
        }
        const changes = yield* makeChanges({
          onChanged: (kind, keys) => lookouts.get(kind)?.refresh(keys),
          onHearingAgain: refreshAll
        })
        yield* Effect.forkScoped(
          Effect.forever(Effect.andThen(Effect.suspend(pause), Effect.sync(refreshAll)))
        )
        const admit = makeAdmission(maximumSubscriptions)
        return {
          board: <K extends string, S, R>({ kind, ...watchable }: Watchable<K, S, R>) =>
            Effect.gen(function* () {
              const { watch, ...lookout } = yield* makeLiveQuery<K, S, R>(watchable)
              lookouts.set(kind, lookout as Refresher<string>)
              const board: LiveQuery<K, S> = {
                announce: (keys) => changes.announce(kind, keys),
                watch: (key) => admit(Stream.unwrap(Effect.as(changes.listening, watch(key))))
              }
              return board
            })
        }
      })
    )
}

/** Processes that were started together must not look together for ever. */
const pause = () => Effect.sleep(Duration.millis(LOOK_EVERY_MS * (0.75 + Math.random() / 2)))

/** So many subscriptions at a time, of whatever kind: each one keeps a connection. */
const makeAdmission = (maximum: number) => {
  let open = 0
  const enter = Effect.suspend(() => {
    if (open >= maximum) return Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
    open += 1
    return Effect.void
  })
  const leave = Effect.sync(() => void (open -= 1))
  return <S, E>(stream: Stream.Stream<S, E>): Stream.Stream<S, E | ServiceUnavailable> =>
    Stream.unwrap(
      Effect.as(
        Effect.acquireRelease(enter, () => leave),
        stream
      )
    )
}
