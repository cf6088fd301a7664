import { createTest } from "@holdfast/testkit/vitest"
import { Redis } from "ioredis"
import { createConnection, type Connection } from "mysql2/promise"

export interface Visitor {
  readonly sql: Connection
  readonly redis: Redis
}

/** Opens one visitor's connections, as the application does. */
export async function enter(sqlUrl: string, redisUrl: string): Promise<Visitor> {
  const redis = new Redis(redisUrl, { lazyConnect: true })
  redis.on("error", () => {})
  await redis.connect()
  return { sql: await createConnection({ uri: sqlUrl }), redis }
}

export function leave({ sql, redis }: Visitor): void {
  redis.disconnect()
  sql.destroy()
}

const run = async (url: string, statement: string) => {
  const connection = await createConnection({ uri: url })
  await connection.query(statement)
  await connection.end()
}

export const test = createTest({
  sql: {
    migrate: (url) => run(url, "CREATE TABLE counters (name VARCHAR(20) PRIMARY KEY, last INT NOT NULL)"),
    seed: (url) => run(url, "INSERT INTO counters VALUES ('bread', 0)")
  }
})
