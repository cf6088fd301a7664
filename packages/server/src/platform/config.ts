import { mysqlOptionsOf, redisOptionsOf } from "@holdfast/locks"
import { Config, Context, Layer, type Redacted } from "effect"
import {
  address,
  flag,
  flagUnlessProduction,
  milliseconds,
  type Origins,
  origins,
  secretText,
  secretTexts,
  text,
  whole
} from "./settings.ts"
import { type TelemetrySettings, telemetryVariables } from "./telemetry/telemetry-settings.ts"

/** The settings of a server that any application needs. Durations are in milliseconds. */
export interface PlatformSettings extends TelemetrySettings {
  /** `mysql://user:password@host:port/database` of MySQL 8.4+ or MariaDB 10.11+, as `mysqlOptionsOf` reads it. */
  readonly mysqlUrl: Redacted.Redacted
  /** `redis://user:password@host:port/database` of Redis 7+ or Valkey 8+, as `redisOptionsOf` reads it. */
  readonly redisUrl: Redacted.Redacted
  readonly host: string
  readonly port: number
  /** Signs access tokens; at least 32 characters. All servers of one database share it. */
  readonly secret: Redacted.Redacted
  /** Other secrets whose tokens are accepted, while one secret is exchanged for another. */
  readonly acceptedSecrets: ReadonlyArray<Redacted.Redacted>
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
  readonly rates: RateSettings

  /** Whether this process runs background jobs. At least one process of a deployment has to. */
  readonly workers: boolean
  /** Whether `holdfast serve` migrates the database. Without it, it refuses one that lacks migrations. */
  readonly migrateAtStart: boolean
  /** How long a start waits for a database that is not there yet. */
  readonly startWaitMs: number
  /** How long a stopping server serves on after `/readyz` has begun to say no: until the balancers have noticed. */
  readonly drainMs: number
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
  /** The origins whose pages may call, `https://shop.example` for instance. */
  readonly origins: Origins
  /** Whether the OpenAPI document and its page are served. */
  readonly hasApiReference: boolean
}

/** What a caller may do in a while, over all processes. The caller is a user, or an address without a user. */
export interface RateSettings {
  /** Calls of one query by one caller. */
  readonly readsPerMinute: number
  /** Calls of one procedure that writes or issues tokens, by one caller. */
  readonly writesPerMinute: number
  /** Subscriptions of one kind that one caller opens. */
  readonly subscriptionsPerMinute: number
  /** Calls from one address (of IPv6, one network of 64 bits), whoever makes them. */
  readonly addressPerMinute: number
  /** Sign-ups from one address. */
  readonly signUpsPerHour: number
}

export class PlatformConfig extends Context.Service<PlatformConfig, PlatformSettings>()(
  "@holdfast/server/PlatformConfig"
) {
  static readonly layer = (settings: PlatformSettings): Layer.Layer<PlatformConfig> =>
    Layer.succeed(PlatformConfig, settings)
}

const httpVariables = Config.all({
  maximumConnections: whole(
    "HOLDFAST_MAX_CONNECTIONS",
    5_000,
    1,
    1_000_000,
    "connections of one process that are open at a time, those of subscriptions included"
  ),
  maximumInFlight: whole(
    "HOLDFAST_MAX_IN_FLIGHT",
    1_000,
    1,
    1_000_000,
    "calls that one process works on at a time"
  ),
  maximumDelayMs: milliseconds(
    "HOLDFAST_MAX_EVENT_LOOP_DELAY",
    "10 millis",
    "delay of the event loop from which on requests are shed"
  ),
  receiveMs: milliseconds(
    "HOLDFAST_RECEIVE_WAIT",
    "15 seconds",
    "how long a client may take to send a request"
  ),
  stillMs: milliseconds(
    "HOLDFAST_STILL_WAIT",
    "45 seconds",
    "how long a connection may stay still while a request is open"
  ),
  trustedProxies: text(
    "HOLDFAST_TRUSTED_PROXIES",
    undefined,
    "addresses or networks of proxies whose x-forwarded-for is believed, separated by commas"
  ),
  origins: origins("HOLDFAST_CORS_ORIGINS", "origins whose pages may call, separated by commas; or *"),
  hasApiReference: flagUnlessProduction(
    "HOLDFAST_API_REFERENCE",
    "whether /openapi.json and /docs are served"
  )
})

/** The highest rate, which nobody reaches. */
const UNLIMITED = 1_000_000_000

const rateVariables = Config.all({
  readsPerMinute: whole(
    "HOLDFAST_READS_PER_MINUTE",
    1_200,
    1,
    UNLIMITED,
    "calls of one query in a minute, by one user, or by one address without a user"
  ),
  writesPerMinute: whole(
    "HOLDFAST_WRITES_PER_MINUTE",
    300,
    1,
    UNLIMITED,
    "calls of one mutation or action in a minute, by one caller"
  ),
  subscriptionsPerMinute: whole(
    "HOLDFAST_SUBSCRIPTIONS_PER_MINUTE",
    300,
    1,
    UNLIMITED,
    "subscriptions of one procedure that one caller opens in a minute"
  ),
  addressPerMinute: whole(
    "HOLDFAST_CALLS_PER_MINUTE_AND_ADDRESS",
    6_000,
    1,
    UNLIMITED,
    "calls from one address in a minute, whoever makes them"
  ),
  signUpsPerHour: whole(
    "HOLDFAST_SIGN_UPS_PER_HOUR",
    100,
    1,
    UNLIMITED,
    "sign-ups from one address in an hour"
  )
})

/** The environment variable of each setting. All but the stores' addresses and the secret have defaults. */
export const platformVariables = {
  mysqlUrl: address(
    "HOLDFAST_MYSQL_URL",
    mysqlOptionsOf,
    "address of MySQL 8.4+ or MariaDB 10.11+: mysql://user:password@host:port/database"
  ),
  redisUrl: address(
    "HOLDFAST_REDIS_URL",
    redisOptionsOf,
    "address of Redis 7+ or Valkey 8+: redis://user:password@host:port/database"
  ),
  secret: secretText("HOLDFAST_SECRET", 32, "signs access tokens; the same for all servers of one database"),
  acceptedSecrets: secretTexts(
    "HOLDFAST_ACCEPTED_SECRETS",
    32,
    "other secrets whose tokens are good, one a line, while one is exchanged"
  ),
  host: text("HOST", "127.0.0.1", "address that the server listens on"),
  port: whole("PORT", 3000, 0, 65_535, "port that the server listens on; 0 takes a free one"),
  databaseConnections: whole(
    "HOLDFAST_DATABASE_CONNECTIONS",
    16,
    2,
    1000,
    "connections that each process keeps to the database"
  ),
  databaseWaitMs: milliseconds(
    "HOLDFAST_DATABASE_WAIT",
    "5 seconds",
    "how long a request may wait for a connection"
  ),
  retentionMs: milliseconds(
    "HOLDFAST_RETENTION",
    "7 days",
    "how long answers of idempotency keys, published events and delivered webhooks are kept"
  ),
  cache: Config.all({
    isOn: flag("HOLDFAST_CACHE", true, "whether reads are cached in Redis"),
    freshMs: milliseconds("HOLDFAST_CACHE_FRESH", "5 seconds", "how long a cached value is served as it is"),
    staleMs: milliseconds(
      "HOLDFAST_CACHE_STALE",
      "30 seconds",
      "how much longer it is served while a new one is loaded"
    )
  }).pipe(Config.map(({ freshMs, isOn, staleMs }) => (isOn ? { freshMs, staleMs } : undefined))),
  maximumSubscriptions: whole(
    "HOLDFAST_MAX_SUBSCRIPTIONS",
    4_000,
    1,
    1_000_000,
    "subscriptions that one process serves at a time"
  ),
  maximumSubscriptionsPerCaller: whole(
    "HOLDFAST_MAX_SUBSCRIPTIONS_PER_CALLER",
    100,
    1,
    1_000_000,
    "of those, subscriptions of one user, or of one address without a user"
  ),
  http: httpVariables,
  rates: rateVariables,
  ...telemetryVariables,
  workers: flag(
    "HOLDFAST_WORKERS",
    true,
    "whether the process runs background jobs; at least one of a deployment has to"
  ),
  migrateAtStart: flag(
    "HOLDFAST_MIGRATE_AT_START",
    false,
    "whether `holdfast serve` migrates the database; without it, it refuses one that lacks migrations"
  ),
  startWaitMs: milliseconds(
    "HOLDFAST_START_WAIT",
    "30 seconds",
    "how long `holdfast serve` and `holdfast migrate` wait for a database that is not there yet"
  ),
  drainMs: milliseconds(
    "HOLDFAST_DRAIN",
    "0 seconds",
    "how long a stopping server serves on after /readyz has begun to say no; longer than the balancers take to notice"
  ),
  shutdownMs: milliseconds(
    "HOLDFAST_SHUTDOWN_WAIT",
    "10 seconds",
    "how long a stopping server waits for requests and job runs in flight"
  )
}
