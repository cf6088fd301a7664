import { Context, Data, Effect } from "effect"
import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from "mysql2/promise"
import { createFenceTable } from "../src/fencing.ts"
import { makeInTransaction, type TransactionBackend } from "../src/transaction.ts"

export class SqlFailure extends Data.TaggedError("SqlFailure")<{ readonly cause: unknown }> {}

export class Tx extends Context.Service<Tx, PoolConnection>()("test/Tx") {}
export class Transactions extends Context.Service<
  Transactions,
  TransactionBackend<PoolConnection, SqlFailure>
>()("test/Transactions") {}
export const inTransaction = makeInTransaction(Tx, Transactions)

/** An account: its counter, and the number of its entries. Both are equal in exact books. */
export interface Account {
  readonly counter: number
  readonly entries: number
}

const ask = <A>(run: () => Promise<A>): Effect.Effect<A, SqlFailure> =>
  Effect.tryPromise({ try: run, catch: (cause) => new SqlFailure({ cause }) })

export const tables = [
  createFenceTable,
  "CREATE TABLE counters (name VARCHAR(64) NOT NULL PRIMARY KEY, value INT NOT NULL)",
  "CREATE TABLE entries (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL, value INT NOT NULL, token BIGINT NOT NULL)"
]

/**
 * Reads the counter without a row lock, adds one and writes it back, which is exact only under the fence. Gives the new
 * value and stores an entry with the current token of the fence.
 */
export const book = (name: string): Effect.Effect<number, SqlFailure, Tx> =>
  Effect.gen(function* () {
    const tx = yield* Tx
    const rows = yield* ask(() =>
      tx.query<Array<RowDataPacket>>("SELECT value FROM counters WHERE name = ?", [name])
    )
    const value = Number(rows[0][0]?.["value"] ?? 0) + 1
    yield* ask(() => tx.query("REPLACE INTO counters (name, value) VALUES (?, ?)", [name, value]))
    yield* ask(() =>
      tx.query(
        "INSERT INTO entries (name, value, token) VALUES (?, ?, COALESCE((SELECT token FROM lock_fences WHERE lock_key = ?), 0))",
        [name, value, name.includes(":") ? name : `ledger:${name}`]
      )
    )
    return value
  })

const begin = async (pool: Pool): Promise<PoolConnection> => {
  const connection = await pool.getConnection()
  try {
    await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    await connection.query("SET SESSION innodb_lock_wait_timeout = 5")
    await connection.beginTransaction()
    return connection
  } catch (error) {
    connection.destroy()
    throw error
  }
}

/** Transactions over a pool, as a program without a query builder writes them. */
export const transactionsOf = (
  pool: Pool,
  observe: (step: string) => void = () => {}
): TransactionBackend<PoolConnection, SqlFailure> => ({
  // An interrupted caller never sees its connection, so a late one is destroyed here.
  begin: Effect.callback((resume) => {
    const begun = begin(pool)
    begun.then(
      (connection) => {
        observe("begin")
        resume(Effect.succeed(connection))
      },
      (cause: unknown) => resume(Effect.fail(new SqlFailure({ cause })))
    )
    return Effect.sync(() => void begun.then((connection) => connection.destroy()).catch(() => {}))
  }),
  commit: (connection) =>
    ask(() => connection.commit()).pipe(
      Effect.tapError(() => Effect.sync(() => connection.destroy())),
      Effect.map(() => {
        observe("commit")
        connection.release()
      })
    ),
  rollback: (connection) =>
    ask(() => connection.rollback()).pipe(
      Effect.map(() => connection.release()),
      Effect.catch(() => Effect.sync(() => connection.destroy())),
      Effect.tap(() => Effect.sync(() => observe("rollback")))
    ),
  fence: (connection) => (sql, parameters) =>
    Effect.map(
      ask(() => connection.query<ResultSetHeader>(sql, [...parameters])),
      ([{ insertId }]) => {
        observe("fence")
        return insertId
      }
    )
})
