import { listenForErrors } from "@holdfast/locks"
import { Effect, Layer } from "effect"
import { Redis } from "ioredis"
import { readFileSync } from "node:fs"
import type { Pool } from "mysql2/promise"
import { ServerConfig } from "../src/config.ts"
import { migrations } from "../src/migrations/index.ts"
import { Database } from "../src/platform/db/database.ts"
import { migrate } from "../src/platform/db/migrate.ts"
import { testSettings } from "./settings.ts"

/** `HOLDFAST_TEST_LEAST_PRIVILEGE=1` runs the servers of all shops as the users of `ops/`. */
export const isLeastPrivilegeRun = process.env["HOLDFAST_TEST_LEAST_PRIVILEGE"] === "1"

const PASSWORD = "least-privilege"

/** A file of `ops/`. */
export const ops = (file: string) => readFileSync(new URL(`../../../ops/${file}`, import.meta.url), "utf8")

/**
 * Makes the users of `ops/sql` for the shop's database, migrates it as the one and gives the address for the other: with
 * it servers run as a deployment's do.
 */
export const leastPrivilegedSql = async (sql: Pool, mysqlUrl: string): Promise<string> => {
  const database = new URL(mysqlUrl).pathname.slice(1)
  await runAll(sql, "sql/migrator.sql", database)
  const settings = testSettings(withUser(mysqlUrl, "holdfast_migrator"), "redis://unused")
  const layer = Database.layer.pipe(Layer.provide(ServerConfig.layer(settings)))
  await Effect.runPromise(Effect.provide(migrate(migrations), layer))
  await runAll(sql, "sql/grants.sql", database)
  return withUser(mysqlUrl, "holdfast_server")
}

/** Lets the servers use a table that the test has made. */
export const allowTable = async (sql: Pool, database: string, table: string): Promise<void> => {
  if (isLeastPrivilegeRun)
    await sql.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database}.${table} TO 'holdfast_server'@'%'`)
}

/** Makes the user of `ops/redis/users.acl`, which lasts until Redis ends, and gives the address for it. */
export const leastPrivilegedRedis = async (redisUrl: string): Promise<string> => {
  const administrator = listenForErrors(new Redis(redisUrl))
  const [, rules] = /^user holdfast (.*)$/m.exec(ops("redis/users.acl"))!
  await administrator.call("ACL", "SETUSER", "holdfast", ...rules!.replace("change-me", PASSWORD).split(" "))
  administrator.disconnect()
  return withUser(redisUrl, "holdfast")
}

const withUser = (url: string, username: string): string =>
  Object.assign(new URL(url), { username, password: PASSWORD }).href

const runAll = async (sql: Pool, file: string, database: string) => {
  const statements = ops(file)
    .replaceAll(/^--.*$/gm, "")
    .replaceAll("EXISTS holdfast ", `EXISTS ${database} `)
    .replaceAll("holdfast.", `${database}.`)
    .replaceAll("change-me", PASSWORD)
    .split(";")
  for (const statement of statements) if (statement.trim() !== "") await sql.query(statement)
}
