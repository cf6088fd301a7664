import { askRedis, isCluster, RedisStore } from "@holdfast/locks"
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
    if (isCluster(client) || !client.options.db) return undefined
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

/** The address of Redis names one node of a cluster as if it were a server of its own. */
export class RedisIsCluster extends Schema.TaggedError<RedisIsCluster>()("RedisIsCluster", {}) {
  override get message() {
    return "HOLDFAST_REDIS_URL names a node of a Redis Cluster; the address of a cluster is redis+cluster://host:port,host:port"
  }
}

/**
 * Fails when a plain client talks to a node of a cluster, which sends it elsewhere for most keys.
 * @param info what `INFO server` answers
 */
export const requireOwnServer = (info: string): Effect.Effect<void, RedisIsCluster, RedisStore> =>
  RedisStore.use(({ client }) =>
    !isCluster(client) && /^(redis|server)_mode:cluster/m.test(info)
      ? Effect.fail(new RedisIsCluster())
      : Effect.void
  )
