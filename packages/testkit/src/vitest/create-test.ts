import { test } from "vitest"
import type { RedisOptions, Source, SqlOptions, TemplateOptions } from "../services/index.ts"
import { keepsFailures } from "./keep.ts"
import { workerRedis } from "./redis-fixture.ts"
import { workerDatabase } from "./sql-fixture.ts"
import { lendRedis, lendSql } from "./worker-services.ts"

export interface TestOptions {
  /** The kind of server and the template of its databases. */
  readonly sql?: SqlOptions & TemplateOptions
  /**
   * `isolation`: an index of the run's server for each worker (the default), or a server of its own for code that
   * uses publish/subscribe or commands that concern a whole server. A server of source `url` is never one's own.
   */
  readonly redis?: RedisOptions & { readonly isolation?: "database" | "server" }
  /** The sources to try where the run's services (`serviceSetup`) do not fit. */
  readonly source?: ReadonlyArray<Source>
}

/**
 * vitest's `test` with real servers in its context: `sql`, a database made from the migrated template, and `redis`,
 * an empty database; both as the template has them at the start of every test, both private to the worker. A server
 * that no test asks for is not started.
 *
 * @example
 * ```ts
 * const test = createTest({ sql: { migrate: (url) => runMigrations(url), migrations: "src/migrations" } })
 * test("places an order", async ({ sql, redis }) => {
 *   const shop = openShop(sql.url, redis.url)
 * })
 * ```
 */
export function createTest(options: TestOptions = {}) {
  const { sql: sqlOptions = {}, redis: redisOptions = {}, source } = options
  return (
    test
      // oxlint-disable-next-line eslint/no-empty-pattern -- vitest reads the pattern to learn what a fixture needs
      .extend("workerSql", { scope: "file" }, async ({}, { onCleanup }) => {
        const lent = await lendSql(sqlOptions, source)
        const database = await workerDatabase(lent.connection, sqlOptions, lent.keptFile)
        onCleanup(async () => {
          await database.drop()
          await lent.giveBack()
        })
        return database
      })
      // oxlint-disable-next-line eslint/no-empty-pattern -- as above
      .extend("workerRedis", { scope: "file" }, async ({}, { onCleanup }) => {
        const lent = await lendRedis(redisOptions, source, redisOptions.isolation === "server")
        const database = workerRedis(lent.connection, lent.keptFile)
        onCleanup(async () => {
          await database.release()
          await lent.giveBack()
        })
        return database
      })
      .extend("sql", async ({ workerSql, task, onTestFailed }) => {
        if (keepsFailures()) onTestFailed(() => workerSql.keep(task.name))
        return workerSql.forTest()
      })
      .extend("redis", async ({ workerRedis, task, onTestFailed }) => {
        if (keepsFailures()) onTestFailed(() => workerRedis.keep(task.name))
        return workerRedis.forTest()
      })
  )
}
