import type { MysqlPool, MysqlPoolConnection } from "kysely"
import { createPool, type Pool, type PoolOptions } from "mysql2"

/**
 * The driver's pool, which closes a connection whose COMMIT or ROLLBACK failed. Such a connection may still have an open
 * transaction, and the next BEGIN would silently commit it.
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

/** Kysely identifies a connection by reference, so each driver connection keeps one guard. */
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
