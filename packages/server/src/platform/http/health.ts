import { askRedis, RedisStore } from "@holdfast/locks"
import { Effect, type ManagedRuntime } from "effect"
import type { FastifyInstance } from "fastify"
import { DatabaseClock } from "../db/database-clock.ts"
import { KeyNamespace } from "../db/key-namespace.ts"
import { DatabaseReadiness } from "../db/readiness.ts"

/** What the health checks need. */
export type Health = DatabaseClock | DatabaseReadiness | KeyNamespace | RedisStore

/**
 * `/livez`: the process answers. `/readyz`: it can do its work, and is not about to stop; else 503. The answer comes within
 * a second, however busy the pool is.
 */
export const addHealth = <R>(
  app: FastifyInstance,
  runtime: ManagedRuntime.ManagedRuntime<R | Health, never>,
  isDraining: () => boolean
): void => {
  let checking: ReturnType<typeof check> | undefined
  const check = () => runtime.runPromise(checkHealth).finally(() => (checking = undefined))
  app.get("/livez", async () => ({ status: "alive" }))
  app.get("/readyz", async (_request, reply) => {
    if (isDraining()) return reply.code(503).send({ status: "closing" })
    // However many ask, the stores are asked by one check at a time.
    const health = await (checking ??= check())
    return reply
      .code(health.ready ? 200 : 503)
      .send({ status: health.ready ? "ready" : "not ready", ...health.stores, ...health.clock })
  })
}

/**
 * Without a database that takes writes the server is not ready; without Redis it is only slower. A clock that differs from
 * the database's is reported, and harms nothing: the database's decides.
 */
const checkHealth = Effect.gen(function* () {
  const clock = yield* DatabaseClock
  const [database, redis] = yield* Effect.all([DatabaseReadiness.use(({ state }) => state), redisState], {
    concurrency: "unbounded"
  })
  const clockAheadMs = clock.differsMs()
  return {
    ready: database === "up",
    stores: { database, redis },
    clock: clockAheadMs === 0 ? {} : { clockAheadMs }
  }
})

const REDIS_WITHIN_MS = 900
const KEY_LIFETIME_MS = 1_000

/** What Redis says when it refuses a write. */
const REFUSALS: ReadonlyArray<readonly [RegExp, string]> = [
  [/^READONLY/, "read-only"],
  [/^MISCONF/, "cannot save"],
  [/^OOM/, "full"],
  [/^LOADING/, "loading"],
  [/^(MOVED|ASK|CLUSTERDOWN|TRYAGAIN)/, "not in its cluster"],
  [/^(NOAUTH|NOPERM|WRONGPASS)/, "refused"]
]

/** `up`, when Redis takes a write, and every master of a cluster would. */
const redisState = Effect.gen(function* () {
  const prefix = yield* KeyNamespace.use((namespace) => namespace.prefix)
  yield* askRedis((client) => client.set(`${prefix}readyz`, "1", "PX", KEY_LIFETIME_MS))
  yield* RedisStore.use(({ takesWrites }) => takesWrites)
  return "up"
}).pipe(
  Effect.timeout(REDIS_WITHIN_MS),
  Effect.catch((error) => {
    const refusal = REFUSALS.find(([text]) => text.test(error.message))
    return Effect.succeed(refusal?.[1] ?? "down")
  })
)
