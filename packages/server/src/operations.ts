/** What the `holdfast` command does. Each operation reads its settings from the environment and gives an exit code. */
import { connect, RedisStore } from "@holdfast/locks"
import { Cause, Effect, Exit, Layer, ManagedRuntime, Redacted, Result } from "effect"
import { ServerConfig, type ServerSettings, settingsFromEnvironment } from "./config.ts"
import { CouponGate } from "./modules/coupons/issuing/gate.ts"
import { verifyText } from "./platform/audit/report.ts"
import { migrations } from "./migrations/index.ts"
import { faultsOfSettings, reportOfSettings, type SettingReport } from "./platform/settings.ts"
import { Database } from "./platform/db/database.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { migrate } from "./platform/db/migrate.ts"
import { startServer } from "./server.ts"
import { verify } from "./verify.ts"

/** Serves until a signal to stop. */
export const serve = async (): Promise<number> => {
  const server = await startServer(await readSettings())
  console.log(JSON.stringify({ message: "serving", url: server.url }))
  // A signal that comes again finds the listener still there, and ends nothing before its time.
  await new Promise<void>((resolve) => {
    process.on("SIGINT", () => resolve())
    process.on("SIGTERM", () => resolve())
  })
  await server.stop()
  return 0
}

/** Migrates the database and prints the names of the migrations. */
export const runMigrations = async (): Promise<number> => {
  const names = await withDatabase(await readSettings(), migrate(migrations))
  console.log(names.length === 0 ? "the database is up to date" : `migrated: ${names.join(", ")}`)
  return 0
}

/** Audits the database, and Redis when it answers, and prints the report. The exit code is 1 when a check fails. */
export const audit = async (asJson: boolean): Promise<number> => {
  const settings = await readSettings()
  const report = (await redisAnswers(settings))
    ? await withBothStores(settings, verify)
    : await withDatabase(settings, verify)
  console.log(asJson ? JSON.stringify(report) : verifyText(report))
  return report.ok ? 0 : 1
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

/** Throws an `Error` that lists everything that is wrong with the settings. */
const readSettings = async (): Promise<ServerSettings> => {
  const faults = await Effect.runPromise(faultsOfSettings(process.env))
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
