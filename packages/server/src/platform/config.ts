import { InvalidAddress, mysqlOptionsOf, redisOptionsOf } from "@holdfast/locks"
import { Config, Context, Duration, Layer, Option, Redacted, Result, Schema, SchemaIssue } from "effect"
import { readFileSync } from "node:fs"

/** The settings of a server that any application needs. Durations are in milliseconds. */
export interface PlatformSettings {
  /** `mysql://user:password@host:port/database` of MySQL 8.4+ or MariaDB 10.11+, as `mysqlOptionsOf` reads it. */
  readonly mysqlUrl: Redacted.Redacted
  /** `redis://user:password@host:port/database` of Redis 7+ or Valkey 8+, as `redisOptionsOf` reads it. */
  readonly redisUrl: Redacted.Redacted
  readonly host: string
  readonly port: number
  /** Signs access tokens; at least 32 characters. All servers of one database share it. */
  readonly secret: Redacted.Redacted
  /** Connections that each process keeps to the database. */
  readonly databaseConnections: number
  /** How long a request may wait for a connection before it fails with `ServiceUnavailable`. */
  readonly databaseWaitMs: number
  /** How long answers of idempotency keys, published events and delivered webhooks are kept. */
  readonly retentionMs: number
  /**
   * `freshMs`: how long a cached value is served as it is. `staleMs`: how much longer it is served while a new one is
   * loaded. Invalidations take effect at once. `undefined` turns the cache off.
   */
  readonly cache: { readonly freshMs: number; readonly staleMs: number } | undefined
  /** Subscriptions that one process serves at a time; each keeps a connection open and takes about 100 kB. */
  readonly maximumSubscriptions: number
  /** Subscriptions that one process serves one caller: a user, or an address without a user. */
  readonly maximumSubscriptionsPerCaller: number
  readonly http: HttpSettings
  /** Whether this process runs background jobs. At least one process of a deployment has to. */
  readonly workers: boolean
  /** How long a stopping server waits for requests and job runs in flight. */
  readonly shutdownMs: number
}

/** What the HTTP server of one process takes on. Beyond it requests are shed. */
export interface HttpSettings {
  /** Connections that are open at a time, those of subscriptions included. */
  readonly maximumConnections: number
  /** Calls that are worked on at a time, those that wait for a lock or a store included. */
  readonly maximumInFlight: number
  /** The delay of the event loop from which on new requests are shed. */
  readonly maximumDelayMs: number
  /** How long a client may take to send a request. */
  readonly receiveMs: number
  /** How long a connection may stay still while a request is open: longer than any answer takes. */
  readonly stillMs: number
  /**
   * The addresses or networks of the proxies in front, separated by commas. Only they are believed when they say where a
   * request comes from (`x-forwarded-for`).
   */
  readonly trustedProxies: string | undefined
}

export class PlatformConfig extends Context.Service<PlatformConfig, PlatformSettings>()(
  "@holdfast/server/PlatformConfig"
) {
  static readonly layer = (settings: PlatformSettings): Layer.Layer<PlatformConfig> =>
    Layer.succeed(PlatformConfig, settings)
}

/** Any longer, and a time in the future could not be stored. */
const LONGEST_MS = 3_650 * 86_400_000

/** A duration such as `5 seconds`, up to ten years, in whole milliseconds. */
export const milliseconds = (name: string, fallback: Duration.Input): Config.Config<number> =>
  Config.schema(
    Schema.DurationFromString.check(
      Schema.makeFilter(
        (duration: Duration.Duration) => {
          const ms = Duration.toMillis(duration)
          return Number.isInteger(ms) && ms >= 0 && ms <= LONGEST_MS
        },
        { message: `${name} must be a duration from 0 to 3650 days in whole milliseconds` }
      )
    ),
    name
  ).pipe(Config.withDefault(Duration.fromInputUnsafe(fallback)), Config.map(Duration.toMillis))

/**
 * The text of a setting that may be secret: of the variable, or of the file that `{name}_FILE` names, without the line
 * break at its end. `undefined` when neither is set. Throws an `Error` that names the variable.
 */
export const secretOf = (
  name: string,
  environment: Readonly<Record<string, string | undefined>>
): string | undefined => {
  const [text, path] = [environment[name], environment[`${name}_FILE`]]
  if (path === undefined || path === "") return text
  if (text !== undefined && text !== "")
    throw new Error(`${name} and ${name}_FILE are both set; set one of them`)
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "")
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`${name}_FILE names a file that cannot be read (${code})`, { cause: error })
  }
}

/** A setting that may be secret, from its variable or its file. Messages name the variable and never the value. */
const secret = (name: string, codec: Schema.Codec<string, string>): Config.Config<string> =>
  Config.all({
    text: Config.option(Config.String(name)),
    path: Config.option(Config.String(`${name}_FILE`))
  }).pipe(
    Config.flatMap(({ path, text }) => {
      // Without a file it is a setting like any other, which may be missing.
      if (Option.isNone(path) || path.value === "") return Config.schema(codec, name)
      const read = Result.try(() =>
        secretOf(name, { [name]: Option.getOrUndefined(text), [`${name}_FILE`]: path.value })
      )
      if (Result.isFailure(read)) return refuse((read.failure as Error).message)
      const decoded = Schema.decodeUnknownResult(codec)(read.success)
      return Result.isSuccess(decoded) ? Config.succeed(decoded.success) : Config.fail(decoded.failure)
    })
  )

const refuse = (message: string): Config.Config<never> =>
  Config.fail(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

/** An address of a store. It may hold a password, so its value is redacted in every message. */
const address = (name: string, optionsOf: (url: string) => unknown) =>
  secret(name, Schema.String.check(Schema.makeFilter((text: string) => faultOf(name, text, optionsOf)))).pipe(
    Config.map((text) => Redacted.make(text))
  )

const faultOf = (name: string, text: string, optionsOf: (url: string) => unknown): string | undefined => {
  try {
    optionsOf(text)
    return undefined
  } catch (error) {
    if (error instanceof InvalidAddress) return `${name} ${error.reason}`
    throw error
  }
}

export const secretText = (name: string, minimumLength: number) =>
  secret(
    name,
    Schema.String.check(
      Schema.isMinLength(minimumLength, {
        message: `${name} must have at least ${minimumLength} characters`
      })
    )
  ).pipe(Config.map((text) => Redacted.make(text)))

/** An address of the web. `fetch` takes none with credentials, and would quote them in its error. */
export const webUrl = (name: string) =>
  secret(
    name,
    Schema.String.check(
      Schema.makeFilter(
        (text: string) => URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol),
        { message: `${name} must be a URL that starts with http:// or https://` }
      ).abort(),
      Schema.makeFilter(
        (text: string) => {
          const { password, username } = new URL(text)
          return username === "" && password === ""
        },
        { message: `${name} must not hold a user name or password` }
      )
    )
  )

/** A whole number from `minimum` to `maximum`. */
export const whole = (name: string, fallback: number, minimum: number, maximum: number) =>
  Config.schema(
    Schema.Int.check(
      Schema.isBetween(
        { minimum, maximum },
        { message: `${name} must be a whole number from ${minimum} to ${maximum}` }
      )
    ),
    name
  ).pipe(Config.withDefault(fallback))

/** The environment variable of each setting. All but the stores' addresses and the secret have defaults. */
export const platformVariables = {
  mysqlUrl: address("HOLDFAST_MYSQL_URL", mysqlOptionsOf),
  redisUrl: address("HOLDFAST_REDIS_URL", redisOptionsOf),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  // 0 takes a free port.
  port: whole("PORT", 3000, 0, 65_535),
  secret: secretText("HOLDFAST_SECRET", 32),
  databaseConnections: whole("HOLDFAST_DATABASE_CONNECTIONS", 16, 2, 1000),
  databaseWaitMs: milliseconds("HOLDFAST_DATABASE_WAIT", "5 seconds"),
  retentionMs: milliseconds("HOLDFAST_RETENTION", "7 days"),
  cache: Config.all({
    isOn: Config.Boolean("HOLDFAST_CACHE").pipe(Config.withDefault(true)),
    freshMs: milliseconds("HOLDFAST_CACHE_FRESH", "5 seconds"),
    staleMs: milliseconds("HOLDFAST_CACHE_STALE", "30 seconds")
  }).pipe(Config.map(({ freshMs, isOn, staleMs }) => (isOn ? { freshMs, staleMs } : undefined))),
  maximumSubscriptions: whole("HOLDFAST_MAX_SUBSCRIPTIONS", 4_000, 1, 1_000_000),
  maximumSubscriptionsPerCaller: whole("HOLDFAST_MAX_SUBSCRIPTIONS_PER_CALLER", 100, 1, 1_000_000),
  http: Config.all({
    maximumConnections: whole("HOLDFAST_MAX_CONNECTIONS", 5_000, 1, 1_000_000),
    maximumInFlight: whole("HOLDFAST_MAX_IN_FLIGHT", 1_000, 1, 1_000_000),
    maximumDelayMs: milliseconds("HOLDFAST_MAX_EVENT_LOOP_DELAY", "10 millis"),
    receiveMs: milliseconds("HOLDFAST_RECEIVE_WAIT", "15 seconds"),
    stillMs: milliseconds("HOLDFAST_STILL_WAIT", "45 seconds"),
    trustedProxies: Config.String("HOLDFAST_TRUSTED_PROXIES").pipe(Config.withDefault(undefined))
  }),
  workers: Config.Boolean("HOLDFAST_WORKERS").pipe(Config.withDefault(true)),
  shutdownMs: milliseconds("HOLDFAST_SHUTDOWN_WAIT", "10 seconds")
}
