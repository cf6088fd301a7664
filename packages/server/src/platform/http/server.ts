import cors from "@fastify/cors"
import { type Contract, InvalidInput, REQUEST_BOUNDS } from "@holdfast/domain"
import { RedisStore } from "@holdfast/locks"
import type { AnyTRPCRouter } from "@trpc/server"
import { Effect, type ManagedRuntime } from "effect"
import Fastify, { type FastifyInstance } from "fastify"
import { uuidv7 } from "uuidv7"
import { sql } from "kysely"
import { readFileSync } from "node:fs"
import type { HttpSettings } from "../config.ts"
import { Database, statement } from "../db/database.ts"
import { addConnectionBounds } from "./connections.ts"
import { type Authenticate, makeContext } from "./context.ts"
import { addApiReference, openApiOf } from "./openapi.ts"
import { addLoadShedding } from "./overload.ts"
import { refuse, refuseAs } from "./refusal.ts"
import { addProcedures } from "./rpc.ts"

/** A batch names all its procedures in the path; a longer one names none that exist. */
const MAXIMUM_PATH_LENGTH = 1_000

/** The beginning of a path that a log line has room for. */
const LOGGED_PATH_LENGTH = 200

/** A caller's own request id is adopted when it is safe in a log line and a header. */
const REQUEST_ID = /^[\w.:-]{1,64}$/

type Runtime<R> = ManagedRuntime.ManagedRuntime<R | Database | RedisStore, never>

export interface Application<R> {
  readonly settings: HttpSettings
  /** The procedures, for the API reference. */
  readonly contract: Contract
  readonly router: AnyTRPCRouter
  readonly authenticate: Authenticate<R>
}

/** Fastify with the tRPC procedures under `/trpc`, the health checks and the API reference. It does not listen yet. */
export const makeHttpServer = async <R>(
  runtime: Runtime<R>,
  { authenticate, contract, router, settings }: Application<R>
): Promise<FastifyInstance> => {
  const app = makeFastify(settings)
  await app.register(cors, { origin: true, exposedHeaders: ["x-request-id", "retry-after"] })
  addRequestIds(app)
  addRefusals(app, runtime)
  addConnectionBounds(app, settings)
  addLoadShedding(app, settings, (requests) => {
    runtime.runFork(Effect.logWarning(`${requests} requests of the last second were shed`))
  })
  addAccessLog(app, runtime)
  addHealth(app, runtime)
  await addApiReference(app, openApiOf(contract, version()))
  const closing = new AbortController()
  app.addHook("preClose", async () => closing.abort())
  await addProcedures(app, {
    contract,
    router,
    createContext: makeContext(runtime, authenticate, closing.signal)
  })
  return app
}

/** Every wait for a client has an end, and Node looks for those that are over several times within it. */
const makeFastify = ({ receiveMs, stillMs, trustedProxies }: HttpSettings): FastifyInstance =>
  Fastify({
    logger: false,
    bodyLimit: REQUEST_BOUNDS.bytes,
    routerOptions: { maxParamLength: MAXIMUM_PATH_LENGTH },
    requestTimeout: receiveMs,
    connectionTimeout: stillMs,
    http: { headersTimeout: receiveMs, connectionsCheckingInterval: Math.min(1_000, receiveMs / 4) },
    forceCloseConnections: "idle",
    frameworkErrors: (_error, request, reply) =>
      refuseAs(request, reply, "BAD_REQUEST", "the path is malformed or too long"),
    ...(trustedProxies === undefined ? {} : { trustProxy: trustedProxies }),
    genReqId: (request) => {
      const given = request.headers["x-request-id"]
      return typeof given === "string" && REQUEST_ID.test(given) ? given : uuidv7()
    }
  })

/** Answers what no procedure has seen: nothing of the request is repeated, and defects are masked. */
const addRefusals = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  app.setNotFoundHandler((request, reply) => refuseAs(request, reply, "NOT_FOUND", "there is nothing here"))
  app.setErrorHandler<Error & { readonly statusCode?: number }>((error, request, reply) => {
    if (error instanceof InvalidInput) return refuse(request, reply, error)
    if (error.statusCode === 413) {
      const message = `must be at most ${request.routeOptions.bodyLimit} bytes`
      return refuse(
        request,
        reply,
        new InvalidInput({ issues: [{ path: "", message }] }),
        "PAYLOAD_TOO_LARGE"
      )
    }
    if (error.statusCode === 415)
      return refuseAs(request, reply, "UNSUPPORTED_MEDIA_TYPE", "the body must be application/json")
    if (error.statusCode !== undefined && error.statusCode < 500)
      return refuseAs(request, reply, "BAD_REQUEST", error.message)
    runtime.runFork(
      Effect.logError("the request died", error).pipe(Effect.annotateLogs({ requestId: request.id }))
    )
    return refuseAs(request, reply, "INTERNAL_SERVER_ERROR", "internal error")
  })
}

const addRequestIds = (app: FastifyInstance): void => {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id)
  })
}

const addAccessLog = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  app.addHook("onResponse", async (request, reply) => {
    // Requests that are shed are counted: a line for each of them would cost as much as answering them.
    if (request.isShed) return
    const line = Effect.logInfo("request").pipe(
      Effect.annotateLogs({
        requestId: request.id,
        method: request.method,
        // Without the query string: a batched query carries its inputs there.
        path: request.url.split("?", 1)[0]?.slice(0, LOGGED_PATH_LENGTH),
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
  let checking: ReturnType<typeof check> | undefined
  const check = () => runtime.runPromise(checkHealth).finally(() => (checking = undefined))
  app.get("/livez", { config: { alwaysAnswered: true } }, async () => ({ status: "alive" }))
  app.get("/readyz", { config: { alwaysAnswered: true } }, async (_request, reply) => {
    if (isClosing) return reply.code(503).send({ status: "closing" })
    // However many ask, the stores are asked by one check at a time.
    const health = await (checking ??= check())
    return reply
      .code(health.ready ? 200 : 503)
      .send({ status: health.ready ? "ready" : "not ready", ...health.stores })
  })
}

/** How long a store may take to answer before it counts as down. */
const HEALTH_DEADLINE_MS = 1_000

/** Without the database the server is not ready; without Redis it is only slower. */
const checkHealth = Effect.gen(function* () {
  const { connected, kysely } = yield* Database
  const { client } = yield* RedisStore
  const pingDatabase = connected(statement((options) => sql`select 1`.execute(kysely, options)))
  const pingRedis = Effect.tryPromise(() => client.ping())
  const [database, redis] = yield* Effect.all([isUp(pingDatabase), isUp(pingRedis)], {
    concurrency: "unbounded"
  })
  return { ready: database, stores: { database: database ? "up" : "down", redis: redis ? "up" : "down" } }
})

const isUp = <E, R>(ping: Effect.Effect<unknown, E, R>): Effect.Effect<boolean, never, R> =>
  ping.pipe(
    Effect.timeout(HEALTH_DEADLINE_MS),
    Effect.as(true),
    Effect.catchCause(() => Effect.succeed(false))
  )

/** The version in this package's manifest, which is three folders up from the sources and from the build. */
const version = (): string => {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8")
  return (JSON.parse(manifest) as { readonly version: string }).version
}
