import { InvalidInput, REQUEST_BOUNDS } from "@holdfast/domain"
import type { AnyTRPCRouter } from "@trpc/server"
import { Effect, LogLevel, type ManagedRuntime, References } from "effect"
import Fastify, { type FastifyInstance } from "fastify"
import { readFileSync } from "node:fs"
import type { RequestListener, Server } from "node:http"
import { Groups } from "../command/groups.ts"
import type { HttpSettings } from "../config.ts"
import { Database } from "../db/database.ts"
import { type Authenticate, makeContext } from "./context.ts"
import type { Welcome } from "./first-page.ts"
import { addBrowserHeaders } from "./headers.ts"
import { addHealth, type Health } from "./health.ts"
import { countCalls, makeIntake } from "./intake.ts"
import { measureLoad } from "./load.ts"
import { type ApiDescription, openApiOf } from "./openapi.ts"
import { addApiReference, addFirstPage } from "./pages.ts"
import { refuse, refuseAs } from "./refusal.ts"
import { requestIdOf } from "./request-id.ts"
import { addMetrics } from "./metrics.ts"
import { addProcedures } from "./rpc.ts"
import { countShed } from "../telemetry/calls.ts"
import type { MetricsSettings } from "../telemetry/telemetry-settings.ts"
import type { DirectCall } from "../trpc/direct.ts"

/** A batch names all its procedures in the path; a longer one names none that exist. */
const MAXIMUM_PATH_LENGTH = 1_000

/** The beginning of a path that a log line has room for. */
const LOGGED_PATH_LENGTH = 200

type Runtime<R> = ManagedRuntime.ManagedRuntime<R | Database | Groups | Health, never>

export interface Application {
  readonly settings: HttpSettings
  /** The procedures, and what the API reference says of them. */
  readonly api: ApiDescription
  readonly welcome: Welcome
  readonly router: AnyTRPCRouter
  /** How single calls are answered, by the paths of their procedures. */
  readonly directCalls: ReadonlyMap<string, DirectCall>
  readonly authenticate: Authenticate
  /** Without them there are only the health checks and the metrics. */
  readonly answersProcedures: boolean
  /** Who may read the metrics, and what writes them. */
  readonly metrics: { readonly settings: MetricsSettings; readonly render: () => Promise<string> }
}

/** The HTTP server of an application. */
export interface HttpServer {
  readonly app: FastifyInstance
  /** From now on `/readyz` says no, and every answer ends its connection: callers go elsewhere. */
  readonly drain: () => void
}

/** Fastify with the tRPC procedures under `/trpc`, the health checks and the API reference. It does not listen yet. */
export const makeHttpServer = async <R>(
  runtime: Runtime<R>,
  application: Application
): Promise<HttpServer> => {
  const { metrics, settings } = application
  const passDatabase = Database.use(({ connected }) => connected(Effect.void))
  const { waitMs } = await runtime.runPromise(Groups)
  const load = measureLoad(settings, {
    passDatabase: () => runtime.runPromise(passDatabase),
    groupMs: waitMs
  })
  const shed = makeShedReport(runtime)
  let isDraining = false
  const app = makeFastify(settings, (application) =>
    makeIntake(application, { settings, load, onShed: shed.count, isDraining: () => isDraining })
  )
  app.addHook("onClose", async () => {
    load.stop()
    shed.stop()
  })
  await addBrowserHeaders(app, settings)
  addRequestIds(app)
  addRetryAfter(app)
  addRefusals(app, runtime)
  countCalls(app, load, settings, shed.count)
  if (await runtime.runPromise(isLogged)) addAccessLog(app, runtime)
  addHealth(app, runtime, () => isDraining)
  addMetrics(app, metrics.settings, metrics.render)
  const closing = new AbortController()
  const drain = () => void (isDraining = true)
  app.addHook("preClose", async () => {
    drain()
    closing.abort()
  })
  if (application.answersProcedures) await addApplication(app, application, closing.signal)
  return { app, drain }
}

/** The procedures and their description. */
const addApplication = async (
  app: FastifyInstance,
  { api, authenticate, directCalls, router, settings, welcome }: Application,
  closing: AbortSignal
): Promise<void> => {
  if (settings.hasApiReference) await addApiReference(app, openApiOf(api, version()))
  addFirstPage(app, welcome, version())
  await addProcedures(app, {
    contract: api.contract,
    router,
    directCalls,
    createContext: makeContext(authenticate, closing)
  })
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
  const count = () => {
    shed += 1
    countShed()
  }
  return { count, stop: () => clearInterval(timer) }
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

/** Who is told to come back is told when, whatever has sent the answer. */
const addRetryAfter = (app: FastifyInstance): void => {
  app.addHook("onSend", (_request, reply, payload, done) => {
    const isRetryable = reply.statusCode === 429 || reply.statusCode === 503
    if (isRetryable && !reply.hasHeader("retry-after")) reply.header("retry-after", "1")
    done(null, payload)
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

/** The version in this package's manifest, which is three folders up from the sources and from the build. */
const version = (): string => {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8")
  return (JSON.parse(manifest) as { readonly version: string }).version
}
