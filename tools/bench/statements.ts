/** `npm run bench -- statements`: the same statements as text, as Holdfast sends them, and prepared. */
import { databaseFactory, startServices } from "@holdfast/testkit"
import { createConnection, type Connection } from "mysql2/promise"
import { randomBytes } from "node:crypto"
import type { Reporting } from "../src/progress.ts"
import { processorTimeUs } from "./processes.ts"
import { processesOf } from "./shop/shops.ts"
import { median } from "./statistics.ts"

export interface StatementsOptions {
  readonly rounds: number
  readonly seconds: number
}

/** Processor time of one statement: of the process that sends it, and of the SQL server. */
interface Cost {
  readonly clientUs: number | null
  readonly sqlUs: number | null
}

interface Compared {
  readonly text: Cost
  readonly prepared: Cost
}

/** By the statement's name. */
export interface StatementsResult {
  readonly statements: Readonly<Record<string, Compared>>
}

const ROWS = 1_000
const COLUMNS = "id, name, price, created_at"

/** Statements of the shapes that orders and reads consist of, with their values. */
const STATEMENTS: Readonly<Record<string, (n: number) => readonly [string, ReadonlyArray<unknown>]>> = {
  "read of a row by its key": (n) => [`SELECT ${COLUMNS} FROM goods WHERE id = ?`, [bytesOf(n % ROWS)]],
  "locking read of 16 rows": (n) => [
    `SELECT ${COLUMNS} FROM goods WHERE id IN (${marks(16)}) ORDER BY id FOR UPDATE`,
    Array.from({ length: 16 }, (_, at) => bytesOf((n + at) % ROWS))
  ],
  "update of a row": (n) => ["UPDATE goods SET price = price + ? WHERE id = ?", [1, bytesOf(n % ROWS)]],
  "insertion of a row": () => [`INSERT INTO bought (${COLUMNS}) VALUES (${marks(4)})`, newRow()],
  "insertion of 16 rows": () => [
    `INSERT INTO bought (${COLUMNS}) VALUES ${Array.from({ length: 16 }, () => `(${marks(4)})`).join()}`,
    Array.from({ length: 16 }, newRow).flat()
  ]
}

const marks = (count: number): string => Array.from({ length: count }, () => "?").join()

const bytesOf = (n: number): Buffer => {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(n, 12)
  return bytes
}

const newRow = (): Array<unknown> => [randomBytes(16), "A product with a name", 1_999, new Date()]

/** One connection, one statement after the other; both ways in turns, the medians of the rounds. */
export const run = async ({
  onProgress,
  rounds,
  seconds
}: StatementsOptions & Reporting): Promise<StatementsResult> => {
  await using services = await startServices({ onProgress })
  const database = await (await databaseFactory(services.sql)).create()
  const connection = await createConnection({ uri: services.sql.url(database.name) })
  const sqlPids = processesOf(services.sql)
  try {
    for (const table of ["goods", "bought"])
      await connection.query(
        `CREATE TABLE ${table} (id BINARY(16) PRIMARY KEY, name VARCHAR(200), price BIGINT, created_at DATETIME(3))`
      )
    for (let n = 0; n < ROWS; n += 1)
      await connection.query(`INSERT INTO goods (${COLUMNS}) VALUES (?)`, [
        [bytesOf(n), ...newRow().slice(1)]
      ])
    const statements: Record<string, Compared> = {}
    for (const [name, statement] of Object.entries(STATEMENTS)) {
      const found = { text: [] as Array<Cost>, prepared: [] as Array<Cost> }
      for (let round = 0; round <= rounds; round += 1)
        for (const way of ["text", "prepared"] as const) {
          const cost = await costOf(connection, sqlPids, way, statement, seconds)
          // The first round warms up.
          if (round > 0) found[way].push(cost)
        }
      statements[name] = { text: middleOf(found.text), prepared: middleOf(found.prepared) }
      onProgress(`statements, ${name}: ${JSON.stringify(statements[name])}`)
    }
    return { statements }
  } finally {
    await connection.end()
    await database.drop()
  }
}

const costOf = async (
  connection: Connection,
  sqlPids: ReadonlyArray<number>,
  way: keyof Compared,
  statement: (n: number) => readonly [string, ReadonlyArray<unknown>],
  seconds: number
): Promise<Cost> => {
  const startedAtMs = performance.now()
  const before = { client: processorTimeUs([process.pid]), sql: processorTimeUs(sqlPids) }
  let done = 0
  await connection.query("BEGIN")
  while (performance.now() - startedAtMs < seconds * 1_000) {
    const [sql, values] = statement(done)
    await (way === "text"
      ? connection.query(sql, [...values])
      : connection.execute(sql, [...values] as never))
    done += 1
  }
  await connection.query("ROLLBACK")
  return {
    clientUs: each(processorTimeUs([process.pid]) - before.client, done),
    sqlUs: each(processorTimeUs(sqlPids) - before.sql, done)
  }
}

const each = (us: number, count: number): number | null => {
  const of = us / count
  return Number.isFinite(of) ? Math.round(of) : null
}

const middleOf = (costs: ReadonlyArray<Cost>): Cost => {
  const middle = (of: (cost: Cost) => number | null) => {
    const known = costs.flatMap((cost) => of(cost) ?? [])
    return known.length < costs.length ? null : Math.round(median(known))
  }
  return { clientUs: middle(({ clientUs }) => clientUs), sqlUs: middle(({ sqlUs }) => sqlUs) }
}
