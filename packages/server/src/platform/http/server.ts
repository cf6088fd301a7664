import cors from "@fastify/cors"
import type { Contract } from "@holdfast/domain"
import { RedisStore } from "@holdfast/locks"
import type { AnyTRPCRouter } from "@trpc/server"
import { fastifyTRPCPlugin, type FastifyTRPCPluginOptions } from "@trpc/server/adapters/fastify"
import { Effect, type ManagedRuntime } from "effect"
import Fastify, { type FastifyInstance } from "fastify"
import { uuidv7 } from "uuidv7"
import { readFileSync } from "node:fs"
import type { Database } from "../db/database.ts"
import { DatabaseClock } from "../db/database-clock.ts"
import { type Authenticate, makeContext } from "./context.ts"
import { addApiReference, openApiOf } from "./openapi.ts"

/** The largest valid request has 10,000 lines and fits. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024

/** A caller's own request id is adopted when it is safe in a log line and a header. */
const REQUEST_ID = /^[\w.:-]{1,64}$/

type Runtime<R> = ManagedRuntime.ManagedRuntime<R | Database | DatabaseClock | RedisStore, never>

export interface Application<R> {
  /** The procedures, for the API reference. */
  readonly contract: Contract
  readonly router: AnyTRPCRouter
  readonly authenticate: Authenticate<R>
}

/** Fastify with the tRPC procedures under `/trpc`, the health checks and the API reference. It does not listen yet. */
export const makeHttpServer = async <R>(
  runtime: Runtime<R>,
  { authenticate, contract, router }: Application<R>
): Promise<FastifyInstance> => {
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    // Batched queries name all their procedures in the path.
    routerOptions: { maxParamLength: 5_000 },
    forceCloseConnections: "idle",
    genReqId: (request) => {
      const given = request.headers["x-request-id"]
      return typeof given === "string" && REQUEST_ID.test(given) ? given : uuidv7()
    }
  })
  await app.register(cors, { origin: true, exposedHeaders: ["x-request-id"] })
  addRequestIds(app)
  addAccessLog(app, runtime)
  addHealth(app, runtime)
  await addApiReference(app, openApiOf(contract, version()))
  const closing = new AbortController()
  app.addHook("preClose", async () => closing.abort())
  await app.register(fastifyTRPCPlugin, {
    prefix: "/trpc",
    trpcOptions: {
      router,
      createContext: makeContext(runtime, authenticate, closing.signal)
    }
  } satisfies FastifyTRPCPluginOptions<AnyTRPCRouter>)
  return app
}

const addRequestIds = (app: FastifyInstance): void => {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id)
  })
}

const addAccessLog = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  app.addHook("onResponse", async (request, reply) => {
    const line = Effect.logInfo("request").pipe(
      Effect.annotateLogs({
        requestId: request.id,
        method: request.method,
        // Without the query string: a batched query carries its inputs there.
        path: request.url.split("?", 1)[0],
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime * 10) / 10
      })
    )
    runtime.runFork(line)
  })
}

const addHealth = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  let isClosing = false
  app.addHook("preClose", async () => {
    isClosing = true
  })
  app.get("/livez", async () => ({ status: "alive" }))
  app.get("/readyz", async (_request, reply) => {
    if (isClosing) return reply.code(503).send({ status: "closing" })
    const health = await runtime.runPromise(checkHealth)
    return reply
      .code(health.ready ? 200 : 503)
      .send({ status: health.ready ? "ready" : "not ready", ...health.stores, ...health.clock })
  })
}

/** How long a store may take to answer before it counts as down. */
const HEALTH_DEADLINE_MS = 1_000

/**
 * Without the database the server is not ready; without Redis it is only slower. A clock that differs from the
 * database's is reported, and harms nothing: the database's decides.
 */
const checkHealth = Effect.gen(function* () {
  const { measure } = yield* DatabaseClock
  const { client } = yield* RedisStore
  const pingRedis = Effect.tryPromise(() => client.ping())
  const [clockAheadMs, pong] = yield* Effect.all([answerOf(measure), answerOf(pingRedis)], {
    concurrency: "unbounded"
  })
  const stores = {
    database: clockAheadMs === undefined ? "down" : "up",
    redis: pong === undefined ? "down" : "up"
  }
  return { ready: stores.database === "up", stores, clock: clockAheadMs ? { clockAheadMs } : {} }
})

/** `undefined` when the store does not answer in time. */
const answerOf = <A, E, R>(ask: Effect.Effect<A, E, R>): Effect.Effect<A | undefined, never, R> =>
  ask.pipe(
    Effect.timeout(HEALTH_DEADLINE_MS),
    Effect.catchCause(() => Effect.succeed(undefined))
  )

/** The version in this package's manifest, which is three folders up from the sources and from the build. */
const version = (): string => {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8")
  return (JSON.parse(manifest) as { readonly version: string }).version
}
