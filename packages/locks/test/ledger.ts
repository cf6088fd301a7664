import { randomUUID } from "node:crypto"
import { Effect, Layer } from "effect"
import { createPool, type Pool, type RowDataPacket } from "mysql2/promise"
import { afterAll, afterEach, beforeAll, inject } from "vitest"
import { type Account, book, inTransaction, tables, Transactions, transactionsOf } from "./books.ts"

/** A separate database for the test file on the run's server. */
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
    /** The number of pairs of entries of which the later one has the smaller token. */
    overtaken: () =>
      number(
        "SELECT COUNT(*) FROM entries later JOIN entries earlier ON earlier.name = later.name AND earlier.id < later.id WHERE later.token < earlier.token"
      )
  }
}
