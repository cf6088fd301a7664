import { assertOptions } from "../internal/options.ts"
import { messageOf } from "../internal/message-of.ts"
import { InvalidSetting, ServiceUnavailable, type Attempt } from "./errors.ts"
import type { RedisService, Source, SqlService } from "./service.ts"
import { chosenKind, sourceOrder, type RedisOptions, type SqlOptions, type Wish } from "./settings.ts"

/** Which servers to start, and from where. */
export interface ServiceOptions {
  /** `false` for no SQL server. */
  readonly sql?: SqlOptions | false
  /** `false` for no Redis server. */
  readonly redis?: RedisOptions | false
  /** The sources to try, in this order. Default: all four. `HOLDFAST_SOURCE` overrides it. */
  readonly source?: ReadonlyArray<Source>
  /** Where data persist between runs, written through to the disk. Default: temporary, in memory where possible. */
  readonly dataDirectory?: string
  /** Receives one line per decision: which source was taken, and why earlier ones were not. */
  readonly onProgress?: (line: string) => void
}

/** Servers that were started together and are stopped together. */
export interface Services extends AsyncDisposable {
  readonly sql: SqlService
  readonly redis: RedisService
  /** Stops all servers. Idempotent. */
  stop(): Promise<void>
}

type WithSql = ServiceOptions & { readonly sql?: SqlOptions }
type WithRedis = ServiceOptions & { readonly redis?: RedisOptions }
type SomeServices = Omit<Services, "sql" | "redis"> & {
  readonly sql?: SqlService
  readonly redis?: RedisService
}

/**
 * Starts a SQL and a Redis server, each from the first source that works. The servers end with `stop()`, at the end of
 * an `await using` block, and with this process, however it ends. When the call rejects, nothing is left running.
 *
 * @throws ServiceUnavailable when no source works: what was tried and what to install
 * @throws InvalidSetting when a variable is set to an unusable value
 */
export function startServices(options?: WithSql & WithRedis): Promise<Services>
export function startServices(options: WithSql & { readonly redis: false }): Promise<Omit<Services, "redis">>
export function startServices(options: WithRedis & { readonly sql: false }): Promise<Omit<Services, "sql">>
export function startServices(options: ServiceOptions): Promise<SomeServices>
export async function startServices(options: ServiceOptions = {}): Promise<SomeServices> {
  const names = { sql: true, redis: true, source: true, dataDirectory: true, onProgress: true } as const
  assertOptions("startServices", options, names)
  const { sql, redis, source, dataDirectory, onProgress: progress = () => {} } = options
  const order = sourceOrder(source)
  const shared = { dataDirectory, progress }
  const [sqlStart, redisStart] = await Promise.allSettled([
    sql === false ? Promise.resolve() : startSql(order, { ...shared, ...sqlWish(sql) }),
    redis === false ? Promise.resolve() : startRedis(order, { ...shared, ...redisWish(redis, dataDirectory) })
  ])
  const started = {
    ...(sqlStart.status === "fulfilled" && sqlStart.value !== undefined ? { sql: sqlStart.value } : {}),
    ...(redisStart.status === "fulfilled" && redisStart.value !== undefined
      ? { redis: redisStart.value }
      : {})
  }
  const stop = async () => {
    await Promise.all([started.sql, started.redis].flatMap((service) => service?.stop() ?? []))
  }
  const failed = [sqlStart, redisStart].find((start) => start.status === "rejected")
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  return { ...started, stop, [Symbol.asyncDispose]: stop }
}

const sqlWish = (options: SqlOptions = {}) => ({
  kind: chosenKind(options.kind, "HOLDFAST_SQL_KIND", ["mysql", "mariadb"]),
  image: options.image,
  persistent: true
})

const redisWish = (options: RedisOptions = {}, dataDirectory: string | undefined) => ({
  kind: chosenKind(options.kind, "HOLDFAST_REDIS_KIND", ["redis", "valkey"]),
  image: options.image,
  persistent: options.persistent ?? dataDirectory !== undefined
})

type Starters<W, S> = Readonly<Record<Source, (wish: W) => Promise<S>>>

const startSql = (order: ReadonlyArray<Source>, wish: Wish<SqlService["flavour"]>) =>
  firstThatWorks("sql", order, wish, {
    url: async (asked) => (await import("./url.ts")).urlSql(asked),
    docker: async (asked) => (await import("./docker/index.ts")).dockerSql(asked),
    native: async (asked) => (await import("./native/index.ts")).nativeSql(asked),
    packages: async (asked) => (await import("./packages/index.ts")).packagesSql(asked)
  })

const startRedis = (order: ReadonlyArray<Source>, wish: Wish<RedisService["flavour"]>) =>
  firstThatWorks("redis", order, wish, {
    url: async (asked) => (await import("./url.ts")).urlRedis(asked),
    docker: async (asked) => (await import("./docker/index.ts")).dockerRedis(asked),
    native: async (asked) => (await import("./native/index.ts")).nativeRedis(asked),
    packages: async (asked) => (await import("./packages/index.ts")).packagesRedis(asked)
  })

async function firstThatWorks<
  W extends { readonly progress: (line: string) => void },
  S extends {
    readonly flavour: string
    readonly version: string
    readonly host: string
    readonly port: number
  }
>(service: "sql" | "redis", order: ReadonlyArray<Source>, wish: W, starters: Starters<W, S>): Promise<S> {
  const tried: Array<Attempt> = []
  for (const source of order) {
    try {
      const started = await starters[source](wish)
      wish.progress(`${service}: ${describe(source, started)}`)
      return started
    } catch (error) {
      if (error instanceof InvalidSetting) throw error
      const reason = messageOf(error)
      tried.push({ source, reason })
      wish.progress(`${service}: not from ${source}: ${reason}`)
    }
  }
  throw new ServiceUnavailable({ service, tried, hint: hintFor(service) })
}

const describe = (
  source: Source,
  { flavour, version, host, port }: { flavour: string; version: string; host: string; port: number }
) => `${flavour} ${version} from ${source} on ${host}:${port}`

/** What to install, for this platform. */
function hintFor(service: "sql" | "redis"): string {
  const variable = service === "sql" ? "HOLDFAST_MYSQL_URL" : "HOLDFAST_REDIS_URL"
  const packages = service === "sql" ? ["mariadb", "mariadb-server"] : ["redis", "redis-server"]
  const install =
    process.platform === "darwin"
      ? `brew install ${packages[0]}`
      : `install your distribution's ${packages[1]} (Debian, Ubuntu: apt-get install ${packages[1]})`
  return `${install}, or start Docker, or set ${variable}`
}
