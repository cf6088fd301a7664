import type { Redis, RedisOptions } from "ioredis"
import type { Connection, ConnectionOptions, RowDataPacket } from "mysql2/promise"
import { peer } from "../internal/peer.ts"
import { withDeadline } from "../internal/promises.ts"
import type { RedisFlavour, SqlAddress, SqlFlavour } from "./service.ts"

const ANSWER_DEADLINE_MS = 10_000

/** Opens a connection on which several statements may be sent at once. Rejects after ten seconds without an answer. */
export async function connectSql(
  { host, port, user, password }: SqlAddress,
  options: ConnectionOptions = {}
): Promise<Connection> {
  const { createConnection } = await peer("mysql2", () => import("mysql2/promise"))
  const connection = await createConnection({
    host,
    port,
    user,
    password,
    connectTimeout: ANSWER_DEADLINE_MS,
    multipleStatements: true,
    ...options
  })
  // Without a listener, a server that dies between two queries raises an uncaught exception.
  connection.on("error", () => {})
  return connection
}

/** Connects, runs `use` and disconnects. Rejects when the server does not answer within ten seconds. */
export async function withSql<A>(
  address: SqlAddress,
  use: (connection: Connection) => Promise<A>,
  deadlineMs = ANSWER_DEADLINE_MS
): Promise<A> {
  const connection = await connectSql(address, { connectTimeout: deadlineMs })
  const late = `the SQL server at ${address.host}:${address.port} did not answer`
  try {
    return await withDeadline(use(connection), deadlineMs, late)
  } finally {
    connection.destroy()
  }
}

/** Without the option whose type depends on the client's. */
type ClientOptions = Omit<RedisOptions, "replyMapping">

/** Connects, runs `use` and disconnects; never reconnects. Rejects when the server does not answer in time. */
export async function withRedis<A>(
  address: string | { readonly host: string; readonly port: number },
  use: (client: Redis) => Promise<A>,
  deadlineMs = ANSWER_DEADLINE_MS,
  more: ClientOptions = {}
): Promise<A> {
  const options: ClientOptions = {
    lazyConnect: true,
    connectTimeout: deadlineMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    ...more
  }
  const { Redis } = await peer("ioredis", () => import("ioredis"))
  const client =
    typeof address === "string" ? new Redis(address, options) : new Redis(address.port, address.host, options)
  const late = `Redis at ${client.options.host}:${client.options.port} did not answer`
  let failure: unknown
  client.on("error", (error: unknown) => {
    failure = error
  })
  try {
    const work = client.connect().then(() => use(client))
    return await withDeadline(work, deadlineMs, late)
  } catch (error) {
    // The rejection only says "Connection is closed"; the event carries the cause.
    throw failure ?? error
  } finally {
    client.disconnect()
  }
}

/** Asks a SQL server for its flavour and version. It answers `8.4.5` or `10.11.6-MariaDB-0+deb12u1`. */
export async function sqlServerInfo(
  connection: Connection
): Promise<{ flavour: SqlFlavour; version: string }> {
  const [rows] = await connection.query<Array<RowDataPacket>>("SELECT VERSION() AS version")
  const version = String(rows[0]?.["version"])
  return {
    flavour: /mariadb/i.test(version) ? "mariadb" : "mysql",
    version: /^\d+\.\d+\.\d+/.exec(version)?.[0] ?? version
  }
}

/** Asks a Redis-like server for its flavour, version and process id. */
export async function redisServerInfo(
  client: Redis
): Promise<{ flavour: RedisFlavour; version: string; pid: number }> {
  const text = await client.info("server")
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(text)?.[1]
  const valkey = field("valkey_version")
  return {
    flavour: valkey === undefined ? "redis" : "valkey",
    version: valkey ?? field("redis_version") ?? "",
    pid: Number(field("process_id"))
  }
}

/** A name as a quoted SQL identifier. */
export const quoted = (identifier: string) => `\`${identifier.replaceAll("`", "``")}\``

/** An IPv6 address stands in brackets. */
const inUrl = (host: string) => (host.includes(":") ? `[${host}]` : host)

/** The parts of a SQL service that do not depend on its source. */
export function sqlMethods(address: SqlAddress) {
  const { host, port, user, password } = address
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  return {
    host,
    port,
    user,
    password,
    url: (database = "") => `mysql://${credentials}@${inUrl(host)}:${port}/${encodeURIComponent(database)}`,
    createDatabase: (name: string) =>
      withSql(address, async (connection) => {
        await connection.query(`CREATE DATABASE ${quoted(name)} CHARACTER SET utf8mb4`)
      }),
    dropDatabase: (name: string) =>
      withSql(address, async (connection) => {
        await connection.query(`DROP DATABASE IF EXISTS ${quoted(name)}`)
      })
  }
}
