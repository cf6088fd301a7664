#!/usr/bin/env node
import { Cause, Effect, Exit, Layer, ManagedRuntime, Redacted, Result } from "effect"
import { parseArgs } from "node:util"
import { ServerConfig, type ServerSettings, settingsFromEnvironment } from "./config.ts"
import { Database } from "./platform/db/database.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { migrations } from "./migrations/index.ts"
import { migrate } from "./platform/db/migrate.ts"
import { CouponGate } from "./modules/coupons/issuing/gate.ts"
import { connect, RedisStore } from "@holdfast/locks"
import { startServer } from "./server.ts"
import { verifyText } from "./platform/audit/report.ts"
import { verify } from "./verify.ts"

const usage = `holdfast: a commerce core that stays exact under any concurrency

  holdfast serve             migrates the database and serves
  holdfast migrate           migrates the database and ends
  holdfast verify [--json]   audits the database, and its Redis when that answers; ends with 1 when anything is off

Settings come from the environment: HOLDFAST_MYSQL_URL, HOLDFAST_REDIS_URL, HOLDFAST_SECRET, HOST, PORT.`

/** Returns the exit code: 0 for success, 1 for an audit that found problems, 2 for wrong usage. */
const main = async (args: ReadonlyArray<string>): Promise<number> => {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  const [command] = positionals
  if (values.help || command === undefined) return say(usage, values.help ? 0 : 2)
  if (command === "serve") return serve(await settings())
  if (command === "migrate") return runMigrations(await settings())
  if (command === "verify") return audit(await settings(), values.json)
  return say(`holdfast: unknown command ${command}\n\n${usage}`, 2)
}

const say = (text: string, code: number): number => {
  console.log(text)
  return code
}

const settings = async (): Promise<ServerSettings> => {
  const exit = await Effect.runPromiseExit(settingsFromEnvironment)
  if (Exit.isSuccess(exit)) return exit.value
  const failure = Cause.findError(exit.cause)
  throw new Error(Result.isSuccess(failure) ? failure.success.message : "the settings cannot be read")
}

const serve = async (serverSettings: ServerSettings): Promise<number> => {
  const server = await startServer(serverSettings)
  console.log(JSON.stringify({ message: "serving", url: server.url }))
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve())
    process.once("SIGTERM", () => resolve())
  })
  await server.stop()
  return 0
}

/** Runs with the database alone: migrating, and auditing without Redis. */
const withDatabase = async <A, E>(
  serverSettings: ServerSettings,
  effect: Effect.Effect<A, E, Database>
): Promise<A> => {
  const runtime = ManagedRuntime.make(Database.layer.pipe(Layer.provide(ServerConfig.layer(serverSettings))))
  try {
    return await runtime.runPromise(effect)
  } finally {
    await runtime.dispose()
  }
}

/** Runs with both stores: the audit compares Redis with the database. */
const withBothStores = async <A, E>(
  serverSettings: ServerSettings,
  effect: Effect.Effect<A, E, Database>
): Promise<A> => {
  const stores = Layer.mergeAll(
    RedisStore.layer(redisOf(serverSettings)),
    KeyNamespace.layer.pipe(Layer.provideMerge(Database.layer))
  )
  const runtime = ManagedRuntime.make(
    CouponGate.layer.pipe(Layer.provideMerge(stores), Layer.provideMerge(ServerConfig.layer(serverSettings)))
  )
  try {
    return await runtime.runPromise(effect)
  } finally {
    await runtime.dispose()
  }
}

const redisOf = ({ redisUrl }: ServerSettings) => ({ url: Redacted.value(redisUrl) })

const redisAnswers = (serverSettings: ServerSettings): Promise<boolean> =>
  connect(redisOf(serverSettings), { connectTimeoutMs: 1_000 }).pipe(
    Effect.flatMap((client) => Effect.tryPromise(() => client.ping())),
    Effect.scoped,
    Effect.match({ onSuccess: () => true, onFailure: () => false }),
    Effect.runPromise
  )

const runMigrations = async (serverSettings: ServerSettings): Promise<number> => {
  const names = await withDatabase(serverSettings, migrate(migrations))
  return say(names.length === 0 ? "the database is up to date" : `migrated: ${names.join(", ")}`, 0)
}

const audit = async (serverSettings: ServerSettings, json: boolean): Promise<number> => {
  const report = (await redisAnswers(serverSettings))
    ? await withBothStores(serverSettings, verify)
    : await withDatabase(serverSettings, verify)
  return say(json ? JSON.stringify(report) : verifyText(report), report.ok ? 0 : 1)
}

/** MySQL's error numbers of a missing table and a missing column. */
const NOT_MIGRATED_ERRNOS: ReadonlySet<unknown> = new Set([1146, 1054])

const explain = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const isNotMigrated = "errno" in error && NOT_MIGRATED_ERRNOS.has(error.errno)
  return isNotMigrated
    ? `the database lacks tables of this version; run \`holdfast migrate\` first (${error.message})`
    : error.message
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(`holdfast: ${explain(error)}`)
  process.exitCode = 2
}
