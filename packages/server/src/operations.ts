/** What the `holdfast` command does. Each operation reads its settings from the environment and gives an exit code. */
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as NodeTerminal from "@effect/platform-node-shared/NodeTerminal"
import { connect, RedisStore } from "@holdfast/locks"
import { Cause, Effect, Exit, Layer, Logger, ManagedRuntime, Redacted, Result } from "effect"
import { Prompt } from "effect/cli"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import { ServerConfig, type ServerSettings, settingsFromEnvironment } from "./config.ts"
import { createAdmin, giveRole, setBlocked } from "./modules/auth/administration.ts"
import { Passwords } from "./modules/auth/passwords.ts"
import { CouponGate } from "./modules/coupons/issuing/gate.ts"
import type { AuditProgress } from "./platform/audit/check.ts"
import { verifyText } from "./platform/audit/report.ts"
import { migrations } from "./migrations/index.ts"
import { faultsOfSettings, reportOfSettings, type SettingReport } from "./platform/settings-report.ts"
import { Database } from "./platform/db/database.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { migrate, requireMigrated } from "./platform/db/migrate.ts"
import { beginEpochNow } from "./platform/db/new-epoch.ts"
import { rememberVerdict } from "./platform/telemetry/process.ts"
import cluster from "node:cluster"
import { NTH_PROCESS, superviseProcesses } from "./processes.ts"
import { untilDatabaseAnswers } from "./platform/db/presence.ts"
import { type Role, startServer } from "./server.ts"
import { Transactions } from "./platform/db/transaction.ts"
import { dangersOf } from "./platform/production.ts"
import { checkNames, verifyWith } from "./verify.ts"

/** Serves until a signal to stop, in this process or in several. */
export const serve = async ({ processes, role }: ServeOptions): Promise<number> => {
  const settings = await readSettings()
  if (processes > 1 && cluster.isPrimary) {
    // What no process could start with fails here, once.
    await untilDatabaseAnswers(settings)
    await withDatabase(settings, settings.migrateAtStart ? migrate(migrations) : requireMigrated(migrations))
    return superviseProcesses(processes)
  }
  return serveHere(processes > 1 ? ofOneProcess(settings) : settings, role)
}

/** What `holdfast serve` is asked for. */
export interface ServeOptions {
  readonly role: Role
  readonly processes: number
}

const serveHere = async (settings: ServerSettings, role: Role): Promise<number> => {
  const stop = new AbortController()
  const stopping = once(stop.signal, "abort")
  // A signal that comes again finds the listener still there, and ends nothing before its time. The first process of a
  // container has no other one: without it, the system would ignore a signal that comes during the start.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop.abort())
  // The process that supervises this one is gone.
  process.once("disconnect", () => stop.abort())
  await untilDatabaseAnswers(settings, stop.signal)
  if (stop.signal.aborted) return 0
  const server = await startServer(settings, { role, migrates: settings.migrateAtStart })
  const log = (line: Effect.Effect<void>) => server.runtime.runSync(line)
  reportDefects(log)
  const { metricsPort, url } = server
  log(Effect.logInfo("serving").pipe(Effect.annotateLogs({ url, role, pid: process.pid, metricsPort })))
  await stopping
  log(Effect.logInfo("stopping"))
  await server.stop()
  if (cluster.isWorker && process.connected) process.disconnect()
  return 0
}

/** Each process of several has a port of its own for the metrics. */
const ofOneProcess = (settings: ServerSettings): ServerSettings => {
  const { metrics } = settings
  if (!metrics.port) return settings
  const nth = Number(process.env[NTH_PROCESS] ?? 0)
  return { ...settings, metrics: { ...metrics, port: metrics.port + nth } }
}

/** Nothing but lines of the log leaves a server, and a defect ends it: what it has done is in the database. */
const reportDefects = (log: (line: Effect.Effect<void>) => void): void => {
  // Kysely prints that a statement was cancelled, which is how a deadline ends one.
  console.error = console.warn = (line: unknown) => log(Effect.logDebug(String(line)))
  process.removeAllListeners("warning")
  process.on("warning", (warning) => log(Effect.logWarning(warning.message)))
  const end = (defect: unknown) => {
    log(Effect.logFatal("the process ends because of a defect", Cause.die(defect)))
    process.exit(1)
  }
  process.on("uncaughtException", end)
  process.on("unhandledRejection", end)
}

/** Migrates the database and prints the names of the migrations. */
export const runMigrations = async (): Promise<number> => {
  const settings = await readSettings()
  await untilDatabaseAnswers(settings)
  const names = await withDatabase(settings, migrate(migrations))
  console.log(names.length === 0 ? "the database is up to date" : `migrated: ${names.join(", ")}`)
  return 0
}

/** Begins a new epoch: nothing that Redis has of the database's past counts any more, and event ids go on higher up. */
export const newEpoch = async (): Promise<number> => {
  const settings = await readSettings()
  await runWith(
    Transactions.layer.pipe(Layer.provideMerge(Database.layer), Layer.provide(ServerConfig.layer(settings))),
    Effect.andThen(requireMigrated(migrations), beginEpochNow)
  )
  console.log("a new epoch has begun; servers that run know it within two seconds")
  return 0
}

/** What `holdfast verify` is asked for. */
export interface VerifyOptions {
  readonly json: boolean
  /** The checks to make; none: all. */
  readonly check: ReadonlyArray<string>
}

/** Audits the database, and Redis when it answers, and prints the report. The exit code is 1 when a check fails. */
export const audit = async ({ check, json }: VerifyOptions): Promise<number> => {
  const unknown = check.find((name) => !checkNames.includes(name))
  if (unknown !== undefined)
    throw new Error(`there is no check "${unknown}"; known: ${checkNames.join(", ")}`)
  const settings = await readSettings()
  const isWhole = check.length === 0
  const audited = verifyWith({ ...(isWhole ? {} : { only: check }), onProgress: tellProgress() })
  const report = (await redisAnswers(settings))
    ? await withBothStores(settings, audited)
    : await withDatabase(settings, audited)
  console.log(json ? JSON.stringify(report) : verifyText(report))
  // The verdict stands without it: an account that may only read audits as well.
  if (isWhole) await withDatabase(settings, rememberVerdict(report.ok)).catch(() => {})
  return report.ok ? 0 : 1
}

/** Whoever waits for an audit for more than this hears how far it is, and again after each such time. */
const TOLD_EVERY_MS = 2_000

const tellProgress = () => {
  let toldAtMs = performance.now()
  const startedAtMs = toldAtMs
  return ({ check, nth, of, portion, portions }: AuditProgress) => {
    const nowMs = performance.now()
    if (nowMs - toldAtMs < TOLD_EVERY_MS) return
    toldAtMs = nowMs
    const seconds = Math.round((nowMs - startedAtMs) / 1_000)
    console.error(
      `verify: check ${nth} of ${of}, ${check}, portion ${portion} of ${portions}, after ${seconds} s`
    )
  }
}

/** Prints every setting: as text, as JSON, or as the table of the documentation, which has no values. */
export const showSettings = async (format: "text" | "json" | "markdown"): Promise<number> => {
  if (format === "markdown") {
    console.log(tableOfSettings())
    return 0
  }
  await readSettings()
  const report = reportOfSettings(process.env)
  console.log(format === "json" ? JSON.stringify(report) : report.map(textOfSetting).join("\n"))
  return 0
}

const textOfSetting = ({
  default: fallback,
  meaning,
  name,
  source,
  value = "(not set)"
}: SettingReport): string =>
  `${name}=${value}\n    ${meaning} (${source === "default" ? "default" : `from the ${source}; default: ${fallback ?? "none"}`})`

/** The table of all settings in docs/operations.md. */
export const tableOfSettings = (): string =>
  [
    "| Variable | Default | Meaning |",
    "|---|---|---|",
    ...reportOfSettings({}).map(
      ({ default: fallback, meaning, name }) =>
        `| \`${name}\` | ${fallback === undefined ? "" : `\`${fallback}\``} | ${meaning} |`
    )
  ].join("\n")

/** Creates an administrator. A generated password is printed once; any other is read from stdin, never from the arguments. */
export const createAdministrator = async (email: string, isGenerated: boolean): Promise<number> => {
  const settings = await readSettings()
  const password = isGenerated ? randomBytes(18).toString("base64url") : await askPassword()
  const outcome = await administer(settings, createAdmin(email, password))
  if (outcome === "user")
    throw new Error(`${email} is registered as a user; run \`holdfast admin grant ${email}\``)
  if (outcome === "admin") console.log(`${email} is an administrator already, with the password as it was`)
  else console.log(`${email} is an administrator now${isGenerated ? `; the password is ${password}` : ""}`)
  return 0
}

/** Changes what the user with this e-mail may do. What is so already stays, and is no error. */
export const changeAccess = async (
  email: string,
  change: "grant" | "revoke" | "block" | "unblock"
): Promise<number> => {
  const settings = await readSettings()
  const [effect, now] = {
    grant: [giveRole(email, "admin"), "an administrator"] as const,
    revoke: [giveRole(email, "user"), "a user without further rights"] as const,
    block: [setBlocked(email, true), "blocked"] as const,
    unblock: [setBlocked(email, false), "not blocked"] as const
  }[change]
  const hasChanged = await administer(settings, effect)
  console.log(`${email} is ${now}${hasChanged ? " now; all their sessions have ended" : " already"}`)
  return 0
}

const askPassword = async (): Promise<string> => {
  if (!process.stdin.isTTY) return (await text(process.stdin)).replace(/\r?\n$/, "")
  const terminal = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer)
  return Redacted.value(await runWith(terminal, Prompt.run(Prompt.Password({ message: "Password" }))))
}

const administer = <A, E>(
  settings: ServerSettings,
  effect: Effect.Effect<A, E, Database | Transactions | Passwords>
): Promise<A> =>
  runWith(
    Layer.merge(Transactions.layer.pipe(Layer.provideMerge(Database.layer)), Passwords.layer).pipe(
      Layer.provideMerge(ServerConfig.layer(settings)),
      // What happened goes where logs go; stdout is for the answer.
      Layer.provideMerge(Logger.layer([Logger.withConsoleError(Logger.formatJson)]))
    ),
    effect
  )

/** Throws an `Error` that lists everything that is wrong with the settings. */
const readSettings = async (): Promise<ServerSettings> => {
  const faults = [...(await Effect.runPromise(faultsOfSettings(process.env))), ...dangersOf(process.env)]
  if (faults.length === 1) throw new Error(faults[0])
  if (faults.length > 1) throw new Error([`${faults.length} settings are wrong:`, ...faults].join("\n  "))
  const exit = await Effect.runPromiseExit(settingsFromEnvironment)
  if (Exit.isSuccess(exit)) return exit.value
  const failure = Cause.findError(exit.cause)
  throw new Error(Result.isSuccess(failure) ? failure.success.message : "the settings cannot be read")
}

/** An audit or a migration needs neither Redis nor a port. */
const withDatabase = <A, E>(settings: ServerSettings, effect: Effect.Effect<A, E, Database>): Promise<A> =>
  runWith(Database.layer.pipe(Layer.provide(ServerConfig.layer(settings))), effect)

/** With Redis, the auditors compare its state with the database. */
const withBothStores = <A, E>(
  settings: ServerSettings,
  effect: Effect.Effect<A, E, Database>
): Promise<A> => {
  const stores = Layer.mergeAll(
    RedisStore.layer(redisOf(settings)),
    KeyNamespace.layer.pipe(Layer.provideMerge(Database.layer))
  )
  const layer = CouponGate.layer.pipe(
    Layer.provideMerge(stores),
    Layer.provideMerge(ServerConfig.layer(settings))
  )
  return runWith(layer, effect)
}

const runWith = async <A, E, R, LE>(
  layer: Layer.Layer<R, LE>,
  effect: Effect.Effect<A, E, NoInfer<R>>
): Promise<A> => {
  await using runtime = ManagedRuntime.make(layer)
  return await runtime.runPromise(effect)
}

const redisOf = ({ redisUrl }: ServerSettings) => ({ url: Redacted.value(redisUrl) })

const redisAnswers = (settings: ServerSettings): Promise<boolean> =>
  connect(redisOf(settings), { connectTimeoutMs: 1_000 }).pipe(
    Effect.flatMap((client) => Effect.tryPromise(() => client.ping())),
    Effect.scoped,
    Effect.match({ onSuccess: () => true, onFailure: () => false }),
    Effect.runPromise
  )

/** MySQL's error numbers for a missing table and a missing column. */
const NOT_MIGRATED_ERRNOS: ReadonlySet<unknown> = new Set([1146, 1054])

/** The message of a failed operation, on one line. */
export const explain = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const isNotMigrated = "errno" in error && NOT_MIGRATED_ERRNOS.has(error.errno)
  return isNotMigrated
    ? `the database lacks tables of this version; run \`holdfast migrate\` first (${error.message})`
    : error.message
}
