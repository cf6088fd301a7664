import { Redis } from "ioredis"
import { createConnection, type Connection } from "mysql2/promise"
import { startServices, type Services } from "../../services/index.ts"
import type { Ports } from "../gate/lane.ts"
import type { Scenario } from "../scenario.ts"
import type { Client, PlantedBug } from "./planted/planted.ts"

const DATABASE = "explored"

/**
 * MariaDB 11.6.2 and later refuse to change rows newer than the transaction's snapshot, which prevents bugs of
 * transactions that rely on earlier reads. Only those versions execute the M! comment.
 */
const WITH_ALL_BUGS = "SET @planted = 1 /*M!110602 , SESSION innodb_snapshot_isolation = OFF */"

/** Private servers, and direct connections to them, for scenarios with planted bugs. */
export class PlantedWorld {
  readonly services: Services
  readonly admin: Client

  static async start(): Promise<PlantedWorld> {
    const services = await startServices()
    await services.sql.createDatabase(DATABASE)
    const { host, port } = services.redis
    const admin = await openClient(services, { redis: port, sql: services.sql.port }, host, services.sql.host)
    return new PlantedWorld(services, admin)
  }

  private constructor(services: Services, admin: Client) {
    this.services = services
    this.admin = admin
  }

  /** The scenario with the bug or without it. */
  async scenario(bug: PlantedBug, variant: "buggy" | "fixed"): Promise<Scenario<Client, string>> {
    const { admin, services } = this
    const { sql, redis } = services
    for (const statement of bug.schema ?? []) {
      await admin.sql.query(
        statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS").replace("INSERT INTO", "REPLACE INTO")
      )
    }
    return {
      name: `${bug.name} (${variant})`,
      upstreams: {
        ...(bug.uses.includes("redis") ? { redis: { host: redis.host, port: redis.port } } : {}),
        ...(bug.uses.includes("sql") ? { sql } : {})
      },
      clients: bug.clients,
      connect: (ports) => openClient(services, ports, "127.0.0.1", "127.0.0.1", bug.uses),
      disconnect: closeClient,
      setup: async () => void (await bug.setup(admin)),
      run: bug[variant],
      reset: async (client) => {
        if (bug.uses.includes("sql")) await client.sql.query("ROLLBACK")
      },
      actors: bug.actors?.(admin) ?? [],
      check: (results) => bug.check(admin, results)
    }
  }

  async stop(): Promise<void> {
    closeClient(this.admin)
    await this.services.stop()
  }
}

const openClient = async (
  { sql: { user, password } }: Services,
  ports: Ports,
  redisHost: string,
  sqlHost: string,
  uses: PlantedBug["uses"] = ["redis", "sql"]
): Promise<Client> => {
  const redis = new Redis({ host: redisHost, port: ports.redis, lazyConnect: true })
  // Connections are cut on purpose; the commands' results show the effect.
  redis.on("error", () => {})
  if (uses.includes("redis")) await redis.connect()
  const sql = uses.includes("sql")
    ? await createConnection({ host: sqlHost, port: ports.sql, user, password, database: DATABASE })
    : undefined
  sql?.on("error", () => {})
  await sql?.query(WITH_ALL_BUGS)
  return {
    redis,
    get sql(): Connection {
      if (sql === undefined) throw new Error("The scenario does not use SQL.")
      return sql
    },
    close: () => {
      redis.disconnect()
      sql?.destroy()
    }
  }
}

const closeClient = (client: Client): void => client.close()
