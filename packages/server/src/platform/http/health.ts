import { Effect } from "effect"
import { sql } from "kysely"
import { Database, statement } from "../db/database.ts"
import { RedisStore } from "@holdfast/locks"

/** How long a store may take to answer before it counts as down. */
const ANSWER_WITHIN_MS = 1_000

interface Health {
  readonly ready: boolean
  readonly stores: { readonly [store: string]: "up" | "down" }
}

/** Whether the stores answer. MySQL decides, so without it nothing is ready; without Redis sales are only slower. */
export const checkHealth = Effect.gen(function* () {
  const [database, redis] = yield* Effect.all([isUp(askDatabase), isUp(askRedis)], {
    concurrency: "unbounded"
  })
  const stores = { database: database ? "up" : "down", redis: redis ? "up" : "down" } as const
  return { ready: database, stores } satisfies Health
})

const askDatabase = Effect.flatMap(Database, ({ connected, kysely }) =>
  connected(statement((options) => sql`select 1`.execute(kysely, options)))
)

const askRedis = Effect.flatMap(RedisStore, ({ client }) => Effect.tryPromise(() => client.ping()))

const isUp = <E, R>(probe: Effect.Effect<unknown, E, R>): Effect.Effect<boolean, never, R> =>
  probe.pipe(
    Effect.timeout(ANSWER_WITHIN_MS),
    Effect.as(true),
    Effect.catchCause(() => Effect.succeed(false))
  )
