import { contract, groupSummaries, procedureSummaries, schemaDescriptions } from "@holdfast/domain"
import { Data, Effect, Layer, Logger, ManagedRuntime, Redacted, References } from "effect"
import type { FastifyInstance } from "fastify"
import type { Server } from "node:http"
import { setTimeout } from "node:timers/promises"
import { errorExamples } from "./api-error-examples.ts"
import { examples } from "./api-examples.ts"
import { ServerConfig, type ServerSettings } from "./config.ts"
import { redisVersionOf, requireSupported } from "./platform/db/supported-stores.ts"
import { requireOwnServer, requireRedisDatabase } from "./platform/db/redis-database.ts"
import { migrations } from "./migrations/index.ts"
import { DatabaseClock } from "./platform/db/database-clock.ts"
import { Epochs } from "./platform/db/epochs.ts"
import { migrate, requireMigrated } from "./platform/db/migrate.ts"
import { type App, appLayer, handlers } from "./app.ts"
import { userExists } from "./modules/auth/service.ts"
import { OpenSessions } from "./modules/auth/sessions/open-sessions.ts"
import { Tokens } from "./modules/auth/tokens.ts"
import { startJobs } from "./jobs.ts"
import type { Authenticate } from "./platform/http/context.ts"
import { makeRender, serveMetrics } from "./platform/http/metrics.ts"
import { makeHttpServer } from "./platform/http/server.ts"
import { makeCallLimits } from "./platform/rates/call-limits.ts"
import { RateLimits } from "./platform/rates/rate-limits.ts"
import { jsonLog } from "./platform/telemetry/log.ts"
import { measureBacklog, measureProcess } from "./platform/telemetry/process.ts"
import { tracesLayer } from "./platform/telemetry/traces.ts"
import { measureDeliveries } from "./modules/webhooks/service.ts"
import { SlowStatementMs } from "./platform/db/database.ts"
import { makeRpc } from "./platform/trpc/adapter.ts"
import { FailpointListener } from "./platform/failpoints.ts"
import { askRedis } from "@holdfast/locks"
import type { TestAccount } from "./platform/http/first-page.ts"
import { welcome } from "./welcome.ts"
import type { RunningJobs } from "./platform/jobs/runner.ts"

/** The server cannot listen on its address. */
export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly host: string
  readonly port: number
  readonly reason: "in use" | "not permitted" | "not available"
}> {
  override get message() {
    const remedy =
      this.reason === "in use"
        ? "; stop the other program or set PORT to a free port"
        : "; set HOST and PORT to an address of this machine"
    return `port ${this.port} of ${this.host} is ${this.reason}${remedy}`
  }
}

/** A server that serves. */
export interface RunningServer {
  /** `http://host:port`, without a trailing slash. */
  readonly url: string
  readonly port: number
  /** The port of the metrics, when they have one of their own. */
  readonly metricsPort: number | undefined
  readonly runtime: ManagedRuntime.ManagedRuntime<App, never>
  /**
   * Says by `/readyz` that callers have to go elsewhere, serves on for `drainMs`, then refuses new requests, waits for those
   * in flight, and closes the stores. May be called twice.
   */
  readonly stop: () => Promise<void>
}

/** What a process does. */
export type Role = "web" | "worker" | "all"

/** How a server starts, beside its settings. */
export interface StartOptions {
  /** The least level of the JSON log lines on stdout. Default: that of the settings. */
  readonly logLevel?: ServerSettings["logLevel"]
  /** `web` runs no jobs, and `worker` answers no procedures, only health and metrics. Default: `all`, as the settings say. */
  readonly role?: Role
  /** Whether the database is migrated. Without it, one that lacks migrations is refused. Default: true. */
  readonly migrates?: boolean
  /** Called at each named step of a use case, for tests that end the process there. */
  readonly onFailpoint?: (step: string) => void
  /** Accounts of a shop for development, which its first page shows to callers on the same machine. */
  readonly testAccounts?: () => ReadonlyArray<TestAccount>
}

/**
 * Migrates the database, serves, and runs the background jobs. Port 0 takes a free port.
 * Rejects with `StoreTooOld`, `NoSuchRedisDatabase`, `RedisIsCluster`, `DatabaseIsNewer`, `DatabaseIsOlder`, `MigrationFailed` or {@link ListenFailed}, and then
 * leaves nothing open.
 */
export const startServer = async (
  settings: ServerSettings,
  options: StartOptions = {}
): Promise<RunningServer> => {
  const logging = Layer.mergeAll(
    Logger.layer([jsonLog(secretsOf(settings))]),
    Layer.succeed(SlowStatementMs, settings.slowStatementMs),
    Layer.succeed(References.MinimumLogLevel, options.logLevel ?? settings.logLevel),
    tracesLayer(settings.tracesUrl),
    options.onFailpoint === undefined ? Layer.empty : Layer.succeed(FailpointListener, options.onFailpoint)
  )
  const runtime = ManagedRuntime.make(
    appLayer.pipe(Layer.provideMerge(ServerConfig.layer(settings)), Layer.provideMerge(logging))
  )
  try {
    await runtime.runPromise(
      refuseWrongRedis.pipe(
        Effect.andThen(requireRedisDatabase),
        Effect.andThen(options.migrates === false ? requireMigrated(migrations) : migrate(migrations)),
        Effect.andThen(Epochs.use(({ look }) => look)),
        Effect.andThen(DatabaseClock.use(({ measure }) => measure))
      )
    )
    const authenticate = await runtime.runPromise(makeAuthenticate)
    const limitOf = makeCallLimits(await runtime.runPromise(RateLimits), settings.rates)
    const render = makeRender(runtime, [measureProcess, measureBacklog, measureDeliveries])
    const { app, drain } = await makeHttpServer(runtime, {
      settings: settings.http,
      welcome: welcome(options.testAccounts ?? (() => [])),
      api: { contract, groupSummaries, procedureSummaries, schemaDescriptions, examples, errorExamples },
      ...makeRpc(contract, handlers, runtime, { exists: ({ userId }) => userExists(userId), limitOf }),
      authenticate,
      metrics: { settings: settings.metrics, render },
      answersProcedures: options.role !== "worker"
    })
    await listen(app, settings)
    const metrics = await listenForMetrics(app, settings, render)
    const port = portOf(app.server) ?? settings.port
    const jobs = await runtime.runPromise(
      startJobs(options.role !== "web" && (settings.workers || options.role === "worker"))
    )
    const stop = once(async () => {
      drain()
      await setTimeout(settings.drainMs)
      await shutDown(app, jobs, runtime, settings.shutdownMs)
      metrics?.close()
    })
    return { url: `http://${settings.host}:${port}`, port, metricsPort: portOf(metrics), runtime, stop }
  } catch (error) {
    await runtime.dispose()
    throw error
  }
}

/** A token is good while its signature, its expiry and its session are. */
const makeAuthenticate = Effect.gen(function* () {
  const { verifyAccess } = yield* Tokens
  const { check } = yield* OpenSessions
  const authenticate: Authenticate = { named: verifyAccess, confirmed: check }
  return authenticate
})

/** A Redis that does not answer is not checked: the server starts without it. */
const refuseWrongRedis = askRedis((client) => client.info("server")).pipe(
  Effect.tap((info) => requireSupported(redisVersionOf(info))),
  Effect.flatMap(requireOwnServer),
  Effect.catchTag("RedisUnavailable", () => Effect.void)
)

const listen = async (app: FastifyInstance, { host, http, port }: ServerSettings): Promise<void> => {
  try {
    // The system forgets connections that come while its backlog is full, and their clients try again after a second.
    await app.listen({ host, port, backlog: http.maximumConnections })
  } catch (error) {
    await app.close()
    throw new ListenFailed({ host, port, reason: listenReason(error) })
  }
}

const portOf = (server: Server | undefined): number | undefined => {
  const address = server?.address()
  return typeof address === "object" ? address?.port : undefined
}

const listenForMetrics = async (
  app: FastifyInstance,
  { host, metrics: { port } }: ServerSettings,
  render: () => Promise<string>
): Promise<Server | undefined> => {
  if (port === undefined) return undefined
  try {
    return await serveMetrics(port, host, render)
  } catch (error) {
    await app.close()
    throw new ListenFailed({ host, port, reason: listenReason(error) })
  }
}

/** What no line of the log may show. */
const secretsOf = ({
  acceptedSecrets,
  metrics,
  mysqlUrl,
  redisUrl,
  secret,
  webhook
}: ServerSettings): ReadonlyArray<string> => {
  const passwords = [mysqlUrl, redisUrl].map((url) => {
    const password = passwordIn(Redacted.value(url))
    return [password, decodeURIComponent(password)]
  })
  const texts = [
    secret,
    ...acceptedSecrets,
    metrics.token,
    webhook?.secret,
    ...(webhook?.formerSecrets ?? [])
  ].map((text) => (text ? Redacted.value(text) : ""))
  return [...passwords.flat(), ...texts]
}

/** As it is written there. An address of several hosts is no `URL`. */
const passwordIn = (address: string): string => /^[^/]*\/\/[^/@:]*:([^/@]*)@/.exec(address)?.[1] ?? ""

const listenReason = (error: unknown) => {
  const { code } = error as { readonly code?: string }
  if (code === "EADDRINUSE") return "in use"
  return code === "EACCES" ? "not permitted" : "not available"
}

/** How often a stopping server closes connections that have become idle. */
const IDLE_SWEEP_MS = 20

/** Requests and job runs still in flight at the deadline are interrupted: their transactions roll back. */
const shutDown = async (
  app: FastifyInstance,
  jobs: RunningJobs,
  runtime: ManagedRuntime.ManagedRuntime<App, never>,
  shutdownMs: number
): Promise<void> => {
  const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP_MS)
  const deadline = globalThis.setTimeout(() => app.server.closeAllConnections(), shutdownMs)
  try {
    await Promise.all([app.close(), runtime.runPromise(jobs.stop(shutdownMs))])
  } finally {
    clearInterval(sweep)
    clearTimeout(deadline)
    await runtime.dispose()
  }
}

const once = <A>(run: () => Promise<A>): (() => Promise<A>) => {
  let result: Promise<A> | undefined
  return () => (result ??= run())
}
