import cors from "@fastify/cors"
import { InvalidInput, REQUEST_BOUNDS } from "@holdfast/domain"
import { askRedis, type RedisStore } from "@holdfast/locks"
import type { AnyTRPCRouter } from "@trpc/server"
import { Effect, LogLevel, type ManagedRuntime, References } from "effect"
import Fastify, { type FastifyInstance } from "fastify"
import { readFileSync } from "node:fs"
import type { RequestListener, Server } from "node:http"
import { Groups } from "../command/groups.ts"
import type { HttpSettings } from "../config.ts"
import { Database } from "../db/database.ts"
import { DatabaseClock } from "../db/database-clock.ts"
import { type Authenticate, makeContext } from "./context.ts"
import { countCalls, makeIntake } from "./intake.ts"
import { measureLoad } from "./load.ts"
import { type ApiDescription, openApiOf } from "./openapi.ts"
import { addApiReference } from "./pages.ts"
import { refuse, refuseAs } from "./refusal.ts"
import { requestIdOf } from "./request-id.ts"
import { addProcedures } from "./rpc.ts"
import type { DirectCall } from "../trpc/direct.ts"

/** A batch names all its procedures in the path; a longer one names none that exist. */
const MAXIMUM_PATH_LENGTH = 1_000

/** The beginning of a path that a log line has room for. */
const LOGGED_PATH_LENGTH = 200

type Runtime<R> = ManagedRuntime.ManagedRuntime<R | Database | DatabaseClock | Groups | RedisStore, never>

export interface Application {
  readonly settings: HttpSettings
  /** The procedures, and what the API reference says of them. */
  readonly api: ApiDescription
  readonly router: AnyTRPCRouter
  /** How single calls are answered, by the paths of their procedures. */
  readonly directCalls: ReadonlyMap<string, DirectCall>
  readonly authenticate: Authenticate
}

/** Fastify with the tRPC procedures under `/trpc`, the health checks and the API reference. It does not listen yet. */
export const makeHttpServer = async <R>(
  runtime: Runtime<R>,
  { api, authenticate, directCalls, router, settings }: Application
): Promise<FastifyInstance> => {
  const passDatabase = Database.use(({ connected }) => connected(Effect.void))
  const { waitMs } = await runtime.runPromise(Groups)
  const load = measureLoad(settings, {
    passDatabase: () => runtime.runPromise(passDatabase),
    groupMs: waitMs
  })
  const shed = makeShedReport(runtime)
  const app = makeFastify(settings, (application) =>
    makeIntake(application, { settings, load, onShed: shed.count })
  )
  app.addHook("onClose", async () => {
    load.stop()
    shed.stop()
  })
  await app.register(cors, { origin: true, exposedHeaders: ["x-request-id", "retry-after"] })
  addRequestIds(app)
  addRefusals(app, runtime)
  countCalls(app, load, shed.count)
  if (await runtime.runPromise(isLogged)) addAccessLog(app, runtime)
  addHealth(app, runtime)
  await addApiReference(app, openApiOf(api, version()))
  const closing = new AbortController()
  app.addHook("preClose", async () => closing.abort())
  await addProcedures(app, {
    contract: api.contract,
    router,
    directCalls,
    createContext: makeContext(authenticate, closing.signal)
  })
  return app
}

const makeFastify = (
  { trustedProxies }: HttpSettings,
  serverFactory: (application: RequestListener) => Server
): FastifyInstance =>
  Fastify({
    logger: false,
    serverFactory,
    bodyLimit: REQUEST_BOUNDS.bytes,
    routerOptions: { maxParamLength: MAXIMUM_PATH_LENGTH },
    forceCloseConnections: "idle",
    frameworkErrors: (_error, request, reply) =>
      refuseAs(request, reply, "BAD_REQUEST", "the path is malformed or too long"),
    ...(trustedProxies === undefined ? {} : { trustProxy: trustedProxies }),
    genReqId: ({ headers }) => requestIdOf(headers["x-request-id"])
  })

/** How often the requests that were shed are reported. A line for each would cost as much as answering it. */
const REPORT_MS = 1_000

/** Counts what is shed, and logs it. */
const makeShedReport = <R>(runtime: Runtime<R>) => {
  let shed = 0
  const report = () => {
    if (shed > 0) runtime.runFork(Effect.logWarning(`${shed} requests were shed: the process is busy`))
    shed = 0
  }
  const timer = setInterval(report, REPORT_MS).unref()
  return { count: () => void (shed += 1), stop: () => clearInterval(timer) }
}

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
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id)
    done()
  })
}

/** Whether lines of level Info are written. Making them would cost the requests as much. */
const isLogged = Effect.map(References.MinimumLogLevel, (least) =>
  LogLevel.isLessThanOrEqualTo(least, "Info")
)

const addAccessLog = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  app.addHook("onResponse", (request, reply, done) => {
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
    done()
  })
}

const addHealth = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  let isClosing = false
  app.addHook("preClose", async () => {
    isClosing = true
  })
  let checking: ReturnType<typeof check> | undefined
  const check = () => runtime.runPromise(checkHealth).finally(() => (checking = undefined))
  app.get("/livez", async () => ({ status: "alive" }))
  app.get("/readyz", async (_request, reply) => {
    if (isClosing) return reply.code(503).send({ status: "closing" })
    // However many ask, the stores are asked by one check at a time.
    const health = await (checking ??= check())
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
  const pingRedis = askRedis((client) => client.ping())
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
