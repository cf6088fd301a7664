import { Redis } from "ioredis"
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import type { RedisFlavour, SqlFlavour } from "./service.ts"

/** How to reach a SQL server. */
export interface SqlAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

const ANSWER_DEADLINE_MS = 10_000

/** Connects, runs and disconnects. Rejects when the server does not answer within ten seconds. */
export async function withSql<A>(
  address: SqlAddress,
  use: (connection: Connection) => Promise<A>,
  deadlineMs = ANSWER_DEADLINE_MS
): Promise<A> {
  const connection = await createConnection({
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    connectTimeout: deadlineMs,
    multipleStatements: true
  })
  // Without a listener, a server that dies between two queries would be an uncaught exception.
  connection.on("error", () => {})
  try {
    return await withDeadline(use(connection), deadlineMs, "the SQL server did not answer")
  } finally {
    connection.destroy()
  }
}

/** Connects, runs and disconnects; never reconnects. */
export async function withRedis<A>(
  address: string | { readonly host: string; readonly port: number },
  use: (client: Redis) => Promise<A>,
  deadlineMs = ANSWER_DEADLINE_MS
): Promise<A> {
  const options = {
    lazyConnect: true,
    connectTimeout: deadlineMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null
  }
  const client =
    typeof address === "string" ? new Redis(address, options) : new Redis({ ...address, ...options })
  let failure: unknown
  client.on("error", (error: unknown) => {
    failure = error
  })
  try {
    const work = client.connect().then(() => use(client))
    return await withDeadline(work, deadlineMs, "the Redis server did not answer")
  } catch (error) {
    // "Connection is closed" says nothing; what closed it was emitted as an event.
    throw failure ?? error
  } finally {
    client.disconnect()
  }
}

/** Rejects after `deadlineMs`; a later rejection of the work itself is swallowed. */
export async function withDeadline<A>(work: Promise<A>, deadlineMs: number, what: string): Promise<A> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${deadlineMs} ms`)), deadlineMs)
  })
  work.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What a SQL server says about itself. `8.4.5`, `10.11.6-MariaDB-0+deb12u1`. */
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

/** What a Redis-like server says about itself. */
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

/** The parts of a SQL service that are the same wherever the server runs. */
export function sqlMethods(address: SqlAddress) {
  const { host, port, user, password } = address
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  return {
    host,
    port,
    user,
    password,
    url: (database = "") => `mysql://${credentials}@${host}:${port}/${encodeURIComponent(database)}`,
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
