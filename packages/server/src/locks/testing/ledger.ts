import { Context, Data, Effect, Layer } from "effect"
import {
  createPool,
  type Pool,
  type PoolConnection,
  type ResultSetHeader,
  type RowDataPacket
} from "mysql2/promise"
import { randomUUID } from "node:crypto"
import { afterAll, afterEach, beforeAll, inject } from "vitest"
import { createFenceTable } from "../fence.ts"
import { makeInTransaction, type TransactionBackend } from "../transaction.ts"

export class SqlFailure extends Data.TaggedError("SqlFailure")<{ readonly cause: unknown }> {}

export class Tx extends Context.Service<Tx, PoolConnection>()("test/Tx") {}
export class Transactions extends Context.Service<
  Transactions,
  TransactionBackend<PoolConnection, SqlFailure>
>()("test/Transactions") {}
export const inTransaction = makeInTransaction(Tx, Transactions)

/** What every account looks like: its counter, the entries that were counted, and the tokens they were made under. */
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
 * Reads the counter without a lock of the database, adds one and writes it back: exact under the fence, and only
 * there. Gives the new value. Every entry is kept, with the token that the fence stood at.
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
        [name, value, `ledger:${name}`]
      )
    )
    return value
  })

/** Transactions over a pool, as a program without Kysely would write them. */
export const transactionsOf = (
  pool: Pool,
  observe: (step: string) => void = () => {}
): TransactionBackend<PoolConnection, SqlFailure> => ({
  begin: Effect.uninterruptible(
    Effect.gen(function* () {
      const connection = yield* ask(() => pool.getConnection())
      yield* ask(() => connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"))
      yield* ask(() => connection.beginTransaction())
      observe("begin")
      return connection
    })
  ),
  commit: (connection) =>
    Effect.map(
      ask(() => connection.commit()),
      () => {
        observe("commit")
        connection.release()
      }
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

/** A database of the test file's own on the run's server. */
export const ledgerFixture = () => {
  let pool: Pool | undefined
  const database = `locks_${randomUUID().replaceAll("-", "").slice(0, 12)}`
  const opened = (): Pool => {
    if (pool === undefined) throw new Error("the fixture has not started yet")
    return pool
  }
  const url = () => {
    const of = new URL(inject("mysqlUrl"))
    of.pathname = `/${database}`
    return of.href
  }
  beforeAll(async () => {
    const admin = createPool({ uri: inject("mysqlUrl"), connectionLimit: 1 })
    await admin.query(`CREATE DATABASE ${database}`)
    await admin.end()
    pool = createPool({ uri: url(), connectionLimit: 10 })
    for (const statement of tables) await pool.query(statement)
  })
  afterEach(async () => {
    for (const table of ["lock_fences", "counters", "entries"]) await opened().query(`DELETE FROM ${table}`)
  })
  afterAll(async () => {
    await opened().query(`DROP DATABASE ${database}`)
    await opened().end()
  })
  const number = async (sql: string, parameters: ReadonlyArray<unknown> = []): Promise<number> => {
    const [rows] = await opened().query<Array<RowDataPacket>>(sql, [...parameters])
    return Number(Object.values(rows[0] ?? { none: 0 })[0])
  }
  const withSteps = (observe?: (step: string) => void) => ({
    inTransaction,
    book,
    layer: Layer.effect(
      Transactions,
      Effect.sync(() => transactionsOf(opened(), observe))
    )
  })
  return {
    ...withSteps(),
    observe: (observe: (step: string) => void) => withSteps(observe),
    url,
    fences: () => number("SELECT COUNT(*) FROM lock_fences"),
    read: async (name: string): Promise<Account> => ({
      counter: await number("SELECT COALESCE(MAX(value), 0) FROM counters WHERE name = ?", [name]),
      entries: await number("SELECT COUNT(*) FROM entries WHERE name = ?", [name])
    }),
    /** Pairs of neighbouring entries of which the later has the smaller token. */
    overtaken: () =>
      number(
        "SELECT COUNT(*) FROM entries later JOIN entries earlier ON earlier.name = later.name AND earlier.id < later.id WHERE later.token < earlier.token"
      )
  }
}
