import { Config, Context, Duration, Layer, type Redacted, Schema } from "effect"

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
  /** How long a stopping server lets requests in flight finish. */
  readonly shutdownMs: number
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

/** The settings as environment variables; each has a default but for the stores' addresses and the secret. */
export const settingsFromEnvironment: Config.Config<ServerSettings> = Config.all({
  mysqlUrl: url("HOLDFAST_MYSQL_URL", "mysql:"),
  redisUrl: url("HOLDFAST_REDIS_URL", "redis:"),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  // 0 takes a free port.
  port: whole("PORT", 3000, 0, 65_535),
  secret: Config.schema(
    Schema.Redacted(
      Schema.String.check(
        Schema.isMinLength(32, { message: "HOLDFAST_SECRET must have at least 32 characters" })
      )
    ),
    "HOLDFAST_SECRET"
  ),
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
  shutdownMs: milliseconds("HOLDFAST_SHUTDOWN_WAIT", "10 seconds")
})
