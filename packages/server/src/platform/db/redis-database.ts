import { askRedis, type RedisStore } from "@holdfast/locks"
import { Cluster } from "ioredis"
import { Effect, Schema } from "effect"

/** Redis has no database of the number in its address. Its client would say nothing and use database 0. */
export class NoSuchRedisDatabase extends Schema.TaggedError<NoSuchRedisDatabase>()("NoSuchRedisDatabase", {
  database: Schema.Int
}) {
  override get message() {
    return `HOLDFAST_REDIS_URL names database ${this.database}, which this Redis does not have; name a lower one, or raise its setting "databases"`
  }
}

/** Fails when the address of Redis names a database that it does not have. A Redis that does not answer is not checked. */
export const requireRedisDatabase: Effect.Effect<void, NoSuchRedisDatabase, RedisStore> = askRedis(
  async (client) => {
    if (client instanceof Cluster || !client.options.db) return undefined
    const database = client.options.db
    return client.select(database).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof Error && /\bindex is out of range/i.test(error.message)) return database
        throw error
      }
    )
  }
).pipe(
  Effect.catchTag("RedisUnavailable", () => Effect.succeed(undefined)),
  Effect.flatMap((missing) =>
    missing === undefined ? Effect.void : Effect.fail(new NoSuchRedisDatabase({ database: missing }))
  )
)
