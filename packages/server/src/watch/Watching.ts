import { ServiceUnavailable } from "@holdfast/domain"
import { Context, Duration, Effect, Layer, type Scope, Stream } from "effect"
import { ServerConfig } from "../config/ServerConfig.ts"
import type { Installation } from "../db/Installation.ts"
import type { RedisStore } from "../redis/RedisStore.ts"
import { type Board, type Lookout, makeBoard, type Watchable } from "./board.ts"
import { makeChanges } from "./changes.ts"

/** How long a change may go unnoticed that nobody could announce: its process died, or Redis is away. */
const LOOK_EVERY_MS = 1_000

/** What a subscriber is told to wait when there are too many. */
const RETRY_AFTER_MS = 1_000

/**
 * What lets subscribers follow a state of the database. A process that has changed one announces it after the commit;
 * every process in which somebody watches it then reads it anew. The message says that something changed, never what:
 * so the subscribers are told what is committed and nothing else, and a lost message only costs them a moment.
 */
export class Watching extends Context.Service<
  Watching,
  {
    /** Makes the board of a kind of state. */
    readonly board: <K extends string, S, R>(
      watchable: Watchable<K, S, R>
    ) => Effect.Effect<Board<K, S>, never, R | Scope.Scope>
  }
>()("@holdfast/server/Watching") {
  static readonly layer: Layer.Layer<Watching, never, RedisStore | Installation | ServerConfig> =
    Layer.effect(
      Watching,
      Effect.gen(function* () {
        const { maximumSubscriptions } = yield* ServerConfig
        const lookouts = new Map<string, Lookout<string>>()
        const lookAtAll = () => {
          for (const lookout of lookouts.values()) lookout.lookAtAll()
        }
        const changes = yield* makeChanges({
          onChanged: (kind, keys) => lookouts.get(kind)?.lookAt(keys),
          onHearingAgain: lookAtAll
        })
        yield* Effect.forkScoped(
          Effect.forever(Effect.andThen(Effect.suspend(pause), Effect.sync(lookAtAll)))
        )
        const admit = makeAdmission(maximumSubscriptions)
        return {
          board: <K extends string, S, R>({ kind, ...watchable }: Watchable<K, S, R>) =>
            Effect.gen(function* () {
              const { watch, ...lookout } = yield* makeBoard<K, S, R>(watchable)
              lookouts.set(kind, lookout as Lookout<string>)
              const board: Board<K, S> = {
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
