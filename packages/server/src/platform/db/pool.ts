import type { MysqlPool, MysqlPoolConnection } from "kysely"
import { createPool, type Pool, type PoolOptions } from "mysql2"

/**
 * The driver's pool, with one rule of ours: a connection whose COMMIT or ROLLBACK failed is closed instead of used
 * again. It may still hold an open transaction, which the next BEGIN on it would silently commit.
 */
export const guardedPool = (options: PoolOptions): MysqlPool => guard(createPool(options))

const guard = (pool: Pool): MysqlPool => ({
  getConnection: (callback) =>
    pool.getConnection((error, connection) => {
      if (error) return callback(error, undefined as never)
      callback(null, guardedConnection(connection))
    }),
  end: (callback) => pool.end((error) => callback(error ?? undefined))
})

/** Kysely recognises a connection by its identity, so each driver connection has one guard for life. */
const guards = new WeakMap<object, MysqlPoolConnection>()

const guardedConnection = (connection: MysqlPoolConnection): MysqlPoolConnection => {
  const known = guards.get(connection)
  if (known !== undefined) return known
  let isUncertain = false
  const guarded: MysqlPoolConnection = {
    get config() {
      return connection.config
    },
    get threadId() {
      return connection.threadId
    },
    connect: (callback) => connection.connect(callback),
    destroy: () => connection.destroy(),
    query: (sql, parameters, callback) =>
      connection.query(sql, parameters, (error, result) => {
        if (error && endsTransaction(sql)) isUncertain = true
        callback?.(error, result)
      }),
    release: () => (isUncertain ? connection.destroy() : connection.release())
  }
  guards.set(connection, guarded)
  return guarded
}

const endsTransaction = (sql: string): boolean => sql === "commit" || sql === "rollback"
