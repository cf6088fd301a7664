// How long a test waits for its services and databases.
import { createConnection } from "mysql2/promise"
import { databaseFactory, startServices } from "../../src/index.ts"
import type { Source } from "../../src/services/index.ts"
import { figures, timed } from "./figures.ts"

const TABLES = 12

/** Times to start each server, and to create a database of twelve tables from its template. */
export async function readyFigures(source: Source, rounds: number) {
  const redis: Array<number> = []
  const sql: Array<number> = []
  // The first start makes the template, which is not measured.
  await (await startServices({ source: [source] })).stop()
  for (let round = 0; round < rounds; round++) {
    const [redisMs, redisOnly] = await timed(() => startServices({ source: [source], sql: false }))
    await redisOnly.stop()
    const [sqlMs, sqlOnly] = await timed(() => startServices({ source: [source], redis: false }))
    await sqlOnly.stop()
    redis.push(redisMs)
    sql.push(sqlMs)
  }
  return { redisReady: figures(redis), sqlReady: figures(sql), ...(await databaseFigures(source, rounds)) }
}

async function databaseFigures(source: Source, rounds: number) {
  await using services = await startServices({ source: [source], redis: false })
  const factory = await databaseFactory(services.sql, { migrate: createTables })
  const fresh: Array<number> = []
  const clean: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const [freshMs, database] = await timed(() => factory.create())
    fresh.push(freshMs)
    const connection = await createConnection({ uri: database.url })
    await connection.query("INSERT INTO t3 (name) VALUES ('x')")
    await connection.query("INSERT INTO t4 (name) VALUES ('x')")
    const [cleanMs] = await timed(() => database.clean())
    clean.push(cleanMs)
    connection.destroy()
    await database.drop()
  }
  return {
    server: `${services.sql.flavour} ${services.sql.version}`,
    freshDatabaseOf12Tables: figures(fresh),
    cleaningTwoDirtyTables: figures(clean)
  }
}

async function createTables(url: string): Promise<void> {
  const connection = await createConnection({ uri: url })
  for (let table = 1; table <= TABLES; table++) {
    const reference =
      table === 1 ? "" : `, CONSTRAINT f${table} FOREIGN KEY (parent) REFERENCES t${table - 1} (id)`
    await connection.query(
      `CREATE TABLE t${table} (id BIGINT PRIMARY KEY AUTO_INCREMENT, parent BIGINT NULL, name VARCHAR(100) NOT NULL,
         amount BIGINT NOT NULL DEFAULT 0, made_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
         UNIQUE KEY by_name (name), KEY by_time (made_at), CHECK (amount >= 0)${reference})`
    )
  }
  await connection.end()
}
