import { Data, Effect } from "effect"
import type { RedisClient } from "./client.ts"
import { RedisStore } from "./store.ts"

/** Redis did not answer, or refused. Whoever asked has another way to go, or comes back later. */
export class RedisUnavailable extends Data.TaggedError("RedisUnavailable")<{ readonly cause: unknown }> {
  override get message() {
    return this.cause instanceof Error ? this.cause.message : String(this.cause)
  }
}

/** Asks Redis. The client's command timeout is the deadline. */
export const askRedis = <A>(
  ask: (client: RedisClient) => Promise<A>
): Effect.Effect<A, RedisUnavailable, RedisStore> =>
  Effect.flatMap(RedisStore, ({ client }) =>
    Effect.tryPromise({ try: () => ask(client), catch: (cause) => new RedisUnavailable({ cause }) })
  )
