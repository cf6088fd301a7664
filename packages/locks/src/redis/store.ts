import { Context, Effect, Layer } from "effect"
import { connect, type RedisClient } from "./client.ts"
import type { RedisConnection, RedisTimings } from "./connection.ts"

/** The process's connection to Redis. It fails fast while Redis is away; whoever uses it has another way to go. */
export class RedisStore extends Context.Service<RedisStore, { readonly client: RedisClient }>()(
  "@holdfast/server/RedisStore"
) {
  /** Connects; a Redis that is not there yet does not keep the program from starting. */
  static readonly layer = (connection: RedisConnection, timings?: RedisTimings): Layer.Layer<RedisStore> =>
    Layer.effect(
      RedisStore,
      Effect.map(connect(connection, timings), (client) => ({ client }))
    )

  /** A client that the program made and closes itself. */
  static readonly fromClient = (client: RedisClient): Layer.Layer<RedisStore> =>
    Layer.succeed(RedisStore, { client })
}
