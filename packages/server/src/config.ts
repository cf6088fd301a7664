import { Config, Context, Duration, Layer, Option, type Redacted, Schema } from "effect"

/** Everything a deployment may set. Durations are in milliseconds, the way the rest of the code names them. */
export interface ServerSettings {
  /** `mysql://user:password@host:port/database` of MySQL 8.4+ or MariaDB 10.11+. */
  readonly mysqlUrl: Redacted.Redacted
  /** `redis://host:port/database` of Redis 7+ or Valkey 8+. */
  readonly redisUrl: Redacted.Redacted
  readonly host: string
  readonly port: number
  /** Signs access tokens and fingerprints; at least 32 characters. All servers of one database share it. */
  readonly secret: Redacted.Redacted
  readonly accessTokenMs: number
  readonly refreshTokenMs: number
  /** Connections a process keeps to the database. */
  readonly databaseConnections: number
  /** How long a request may wait for a connection before it is told to come back. */
  readonly databaseWaitMs: number
  /** What one password hash costs: RFC 9106's second recommendation is the default's origin. */
  readonly argon2: { readonly memoryKib: number; readonly iterations: number }
  readonly orders: {
    readonly maximumLines: number
    readonly maximumQuantity: number
    readonly expiresAfterMs: number
  }
  readonly cancellation: {
    /** How long after its payment an order may still be cancelled. */
    readonly paidWithinMs: number
  }
  /** What users may charge; days and months are those of UTC. */
  readonly charges: {
    readonly minimum: number
    readonly maximum: number
    readonly step: number
    readonly perDay: number
    readonly perMonth: number
  }
  /** Where `order.paid` is posted to; without it, nowhere. */
  readonly webhook: WebhookSettings | undefined
  /** How long answers of idempotency keys, published events and delivered webhooks are kept. */
  readonly retentionMs: number
  /**
   * How long what was read is kept in Redis as good as new, and how much longer until the next one is there. Writes
   * make it count for nothing at once. `undefined`: everything is read from the database.
   */
  readonly cache: { readonly freshMs: number; readonly staleMs: number } | undefined
  /** Subscriptions that one process serves at a time; each of them keeps a connection open and takes about 100 kB. */
  readonly maximumSubscriptions: number
  /** Whether this process does background work: expiry, events, rankings, webhooks. Some process has to. */
  readonly workers: boolean
  /** How long a stopping server lets requests in flight, and rounds of its workers, finish. */
  readonly shutdownMs: number
}

export interface WebhookSettings {
  readonly url: string
  /** Signs every delivery; the receiver knows it too. At least 16 characters. */
  readonly secret: Redacted.Redacted
  /** How long the receiver may take for its answer. */
  readonly timeoutMs: number
  /** The pause after the first failed attempt; it doubles with each further one, up to an hour. */
  readonly firstRetryMs: number
  readonly maximumAttempts: number
}

export class ServerConfig extends Context.Service<ServerConfig, ServerSettings>()(
  "@holdfast/server/ServerConfig"
) {
  /** Settings given by the program that embeds the server. */
  static readonly layer = (settings: ServerSettings): Layer.Layer<ServerConfig> =>
    Layer.succeed(ServerConfig, settings)
}

const milliseconds = (name: string, fallback: Duration.Input) =>
  Config.Duration(name).pipe(
    Config.withDefault(Duration.fromInputUnsafe(fallback)),
    Config.map(Duration.toMillis)
  )

/** The value stays redacted in every message: a URL holds a password. */
const url = (name: string, protocol: string) =>
  Config.schema(
    Schema.Redacted(
      Schema.String.check(
        Schema.makeFilter((text: string) => URL.canParse(text) && new URL(text).protocol === protocol, {
          message: `${name} must be a URL that starts with ${protocol}//`
        })
      )
    ),
    name
  )

const secretText = (name: string, minimumLength: number) =>
  Config.schema(
    Schema.Redacted(
      Schema.String.check(
        Schema.isMinLength(minimumLength, {
          message: `${name} must have at least ${minimumLength} characters`
        })
      )
    ),
    name
  )

const webUrl = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter(
        (text: string) => URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol),
        { message: `${name} must be a URL that starts with http:// or https://` }
      )
    ),
    name
  )

const whole = (name: string, fallback: number, minimum: number, maximum: number) =>
  Config.schema(
    Schema.Int.check(
      Schema.isBetween(
        { minimum, maximum },
        { message: `${name} must be a whole number from ${minimum} to ${maximum}` }
      )
    ),
    name
  ).pipe(Config.withDefault(fallback))

/** Without an address there is no webhook; with one, a secret is needed too. */
const webhookFromEnvironment: Config.Config<WebhookSettings | undefined> = Config.String(
  "HOLDFAST_WEBHOOK_URL"
).pipe(
  Config.option,
  Config.flatMap((address) =>
    Option.isNone(address)
      ? Config.succeed(undefined)
      : Config.all({
          url: webUrl("HOLDFAST_WEBHOOK_URL"),
          secret: secretText("HOLDFAST_WEBHOOK_SECRET", 16),
          timeoutMs: milliseconds("HOLDFAST_WEBHOOK_TIMEOUT", "5 seconds"),
          firstRetryMs: milliseconds("HOLDFAST_WEBHOOK_FIRST_RETRY", "1 second"),
          maximumAttempts: whole("HOLDFAST_WEBHOOK_ATTEMPTS", 12, 1, 100)
        })
  )
)

/** The settings as environment variables; each has a default but for the stores' addresses and the secret. */
export const settingsFromEnvironment: Config.Config<ServerSettings> = Config.all({
  mysqlUrl: url("HOLDFAST_MYSQL_URL", "mysql:"),
  redisUrl: url("HOLDFAST_REDIS_URL", "redis:"),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  // 0 takes a free port.
  port: whole("PORT", 3000, 0, 65_535),
  secret: secretText("HOLDFAST_SECRET", 32),
  accessTokenMs: milliseconds("HOLDFAST_ACCESS_TOKEN_LIFETIME", "15 minutes"),
  refreshTokenMs: milliseconds("HOLDFAST_REFRESH_TOKEN_LIFETIME", "30 days"),
  databaseConnections: whole("HOLDFAST_DATABASE_CONNECTIONS", 16, 2, 1000),
  databaseWaitMs: milliseconds("HOLDFAST_DATABASE_WAIT", "5 seconds"),
  argon2: Config.all({
    memoryKib: whole("HOLDFAST_ARGON2_MEMORY_KIB", 19_456, 8, 4_194_304),
    iterations: whole("HOLDFAST_ARGON2_ITERATIONS", 2, 1, 100)
  }),
  orders: Config.all({
    maximumLines: whole("HOLDFAST_ORDER_MAX_LINES", 2_000, 1, 10_000),
    maximumQuantity: whole("HOLDFAST_ORDER_MAX_QUANTITY", 100_000, 1, 1_000_000_000),
    expiresAfterMs: milliseconds("HOLDFAST_ORDER_EXPIRES_AFTER", "10 minutes")
  }),
  cancellation: Config.all({
    paidWithinMs: milliseconds("HOLDFAST_CANCEL_PAID_WITHIN", "1 hour")
  }),
  charges: Config.all({
    minimum: whole("HOLDFAST_CHARGE_MINIMUM", 1_000, 1, 1_000_000_000_000),
    maximum: whole("HOLDFAST_CHARGE_MAXIMUM", 1_000_000, 1, 1_000_000_000_000),
    step: whole("HOLDFAST_CHARGE_STEP", 1_000, 1, 1_000_000_000_000),
    perDay: whole("HOLDFAST_CHARGES_PER_DAY", 3, 1, 1_000_000),
    perMonth: whole("HOLDFAST_CHARGES_PER_MONTH", 10, 1, 1_000_000)
  }),
  webhook: webhookFromEnvironment,
  retentionMs: milliseconds("HOLDFAST_RETENTION", "7 days"),
  cache: Config.all({
    isOn: Config.Boolean("HOLDFAST_CACHE").pipe(Config.withDefault(true)),
    freshMs: milliseconds("HOLDFAST_CACHE_FRESH", "5 seconds"),
    staleMs: milliseconds("HOLDFAST_CACHE_STALE", "30 seconds")
  }).pipe(Config.map(({ freshMs, isOn, staleMs }) => (isOn ? { freshMs, staleMs } : undefined))),
  maximumSubscriptions: whole("HOLDFAST_MAX_SUBSCRIPTIONS", 5_000, 1, 1_000_000),
  workers: Config.Boolean("HOLDFAST_WORKERS").pipe(Config.withDefault(true)),
  shutdownMs: milliseconds("HOLDFAST_SHUTDOWN_WAIT", "10 seconds")
})
