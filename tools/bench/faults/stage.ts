import { eventually, startServices, type Services } from "@holdfast/testkit"
import { faultProxy, type FaultProxy } from "@holdfast/testkit/faults"
import { randomBytes } from "node:crypto"
import { openSync } from "node:fs"
import { join } from "node:path"
import { Redis } from "ioredis"
import { createConnection, type RowDataPacket } from "mysql2/promise"
import type { Account } from "../../src/shop/accounts.ts"
import { type ServerProcess, startServerProcess } from "../../src/shop/server-process.ts"
import { ONE_MACHINE_PLAYS_ALL, UNPAID_AT_WILL } from "../../src/shop/settings.ts"

export const serverNames = ["server-1", "server-2"] as const
export type ServerName = (typeof serverNames)[number]
/** What a fault can strike. */
export type Target = "mysql" | "redis" | ServerName

/** Two server processes on private stores. A proxy stands before each server and each store. */
export interface Stage extends AsyncDisposable {
  readonly services: Services
  readonly proxies: Readonly<Record<Target, FaultProxy>>
  readonly servers: Readonly<Record<ServerName, ServerProcess>>
  readonly admin: Account
  /** The stores without their proxies. */
  readonly mysqlUrl: string
  readonly redisUrl: string
  /** Runs statements as an administrator of the database, past the proxy. Returns the rows of the last one. */
  readonly sql: (...statements: ReadonlyArray<string>) => Promise<ReadonlyArray<Record<string, unknown>>>
  /** Sends a command to Redis, past the proxy. */
  readonly redis: (name: string, ...args: ReadonlyArray<string>) => Promise<unknown>
  /** Kills a server with SIGKILL. Its supervisor starts the next process at once. */
  readonly kill: (server: ServerName) => void
  /** Waits until the process after the killed one serves. */
  readonly started: (server: ServerName) => Promise<void>
}

export interface StageOptions {
  readonly seed: number
  /** Receives the servers' logs. */
  readonly logDirectory: string
  readonly note: (line: string) => void
  /** A server's process ended without having been killed here. */
  readonly onUnexpectedEnd: (server: ServerName) => void
}

export const DATABASE = "soak"
const SHOP_USER = "shop"
const STARTED_WITHIN_MS = 60_000
const ADMIN: Account = { email: "admin@soak.example", password: "the administrator of the soak" }

/**
 * The hash of a password is not under test, so it is the cheapest one. Without a limit, V8 lets garbage lie on a large
 * machine, and memory says nothing.
 */
const SETTINGS = {
  NODE_OPTIONS: "--max-old-space-size=256",
  ...ONE_MACHINE_PLAYS_ALL,
  ...UNPAID_AT_WILL,
  HOLDFAST_SECRET: "the secret of the soak, 32 characters",
  HOLDFAST_ARGON2_MEMORY_KIB: "8",
  HOLDFAST_ARGON2_ITERATIONS: "1",
  HOLDFAST_ADMIN_EMAIL: ADMIN.email,
  HOLDFAST_ADMIN_PASSWORD: ADMIN.password
}

export const raiseStage = async (options: StageOptions): Promise<Stage> => {
  await using closing = new AsyncDisposableStack()
  const services = await startServices({
    source: ["native", "packages", "docker"],
    redis: { persistent: true },
    onProgress: options.note
  })
  closing.defer(() => services.stop())
  const sql = sqlAs(services.sql.url())
  const shopUrl = await makeShopUser(services, sql)
  const proxyOf = async (protocol: "mysql" | "redis" | "raw", upstream: { host: string; port: number }) =>
    closing.use(await faultProxy({ protocol, upstream, seed: options.seed }))
  const mysql = await proxyOf("mysql", services.sql)
  const redis = await proxyOf("redis", services.redis)
  const addresses = {
    HOLDFAST_MYSQL_URL: mysql.through(shopUrl),
    HOLDFAST_REDIS_URL: redis.through(services.redis.url())
  }
  const killed = new Set<ServerName>()
  const start = async (name: ServerName) => {
    const server = await startServer(name, addresses, killed, options)
    closing.defer(() => server.stop())
    return server
  }
  const servers = { "server-1": await start("server-1"), "server-2": await start("server-2") }
  const proxies = {
    mysql,
    redis,
    "server-1": await proxyOf("raw", addressOf(servers["server-1"].url)),
    "server-2": await proxyOf("raw", addressOf(servers["server-2"].url))
  }
  const kept = closing.move()
  return {
    services,
    proxies,
    servers,
    ...controlsOf(servers, killed),
    admin: ADMIN,
    mysqlUrl: services.sql.url(DATABASE),
    redisUrl: services.redis.url(),
    sql,
    redis: redisAs(services.redis.url()),
    [Symbol.asyncDispose]: () => kept.disposeAsync()
  }
}

/** @param killed the servers that were killed here and whose next process does not serve yet */
const startServer = async (
  name: ServerName,
  addresses: Readonly<Record<string, string>>,
  killed: Set<ServerName>,
  { logDirectory, onUnexpectedEnd }: StageOptions
): Promise<ServerProcess> => {
  const log = openSync(join(logDirectory, `${name}.log`), "w")
  return startServerProcess({
    environment: { ...SETTINGS, ...addresses },
    log,
    preload: import.meta.resolve("./shifted-clock.ts"),
    maximumRestarts: 10_000,
    onRestart: () => {
      if (!killed.delete(name)) onUnexpectedEnd(name)
    }
  })
}

const controlsOf = (servers: Stage["servers"], killed: Set<ServerName>): Pick<Stage, "kill" | "started"> => ({
  kill: (name) => {
    const pid = servers[name].pid()
    killed.add(name)
    if (pid !== undefined) process.kill(pid, "SIGKILL")
  },
  started: (name) =>
    Promise.race([
      servers[name].failed,
      eventually(() => !killed.has(name), { timeoutMs: STARTED_WITHIN_MS }).then(() => {})
    ])
})

const addressOf = (url: string) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) })

/** A user without global privileges, which a read-only database refuses. Returns the database's URL for that user. */
const makeShopUser = async (services: Services, sql: Stage["sql"]): Promise<string> => {
  const password = randomBytes(16).toString("hex")
  await services.sql.createDatabase(DATABASE)
  await sql(
    `CREATE USER '${SHOP_USER}'@'%' IDENTIFIED BY '${password}'`,
    `GRANT ALL ON \`${DATABASE}\`.* TO '${SHOP_USER}'@'%'`
  )
  const url = new URL(services.sql.url(DATABASE))
  url.username = SHOP_USER
  url.password = password
  return url.href
}

const ANSWER_WITHIN_MS = 20_000

/** A connection for each call, because faults end connections. */
const sqlAs =
  (uri: string): Stage["sql"] =>
  async (...statements) => {
    // While its connections are all taken, the database refuses administrators, too.
    const connection = await eventually(() => createConnection({ uri, connectTimeout: ANSWER_WITHIN_MS }), {
      timeoutMs: ANSWER_WITHIN_MS
    })
    connection.on("error", () => {})
    try {
      let rows: ReadonlyArray<Record<string, unknown>> = []
      for (const statement of statements) {
        const query = { sql: statement, timeout: ANSWER_WITHIN_MS }
        const [answer] = await connection.query<Array<RowDataPacket>>(query)
        rows = Array.isArray(answer) ? answer : []
      }
      return rows
    } finally {
      connection.destroy()
    }
  }

const redisAs =
  (url: string): Stage["redis"] =>
  async (name, ...args) => {
    const client = new Redis(url, { retryStrategy: () => null, commandTimeout: ANSWER_WITHIN_MS })
    client.on("error", () => {})
    try {
      return await client.call(name, ...args)
    } finally {
      client.disconnect()
    }
  }
