import { Data, Effect } from "effect"
import type { RedisClient } from "./connect.ts"
import { RedisStore } from "./RedisStore.ts"

/** Redis did not answer, or refused. Whoever asked has another way to go, or comes back later. */
export class RedisFailed extends Data.TaggedError("RedisFailed")<{ readonly cause: unknown }> {
  override get message() {
    return this.cause instanceof Error ? this.cause.message : String(this.cause)
  }
}

/** Asks Redis. The client's command timeout is the deadline. */
export const askRedis = <A>(
  ask: (client: RedisClient) => Promise<A>
): Effect.Effect<A, RedisFailed, RedisStore> =>
  Effect.flatMap(RedisStore, ({ client }) =>
    Effect.tryPromise({ try: () => ask(client), catch: (cause) => new RedisFailed({ cause }) })
  )
