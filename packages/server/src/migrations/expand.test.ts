import { Kysely, MysqlDialect } from "kysely"
import { randomUUID } from "node:crypto"
import { createPool, type Pool } from "mysql2"
import { afterAll, beforeAll, expect, inject, test } from "vitest"
import { migrations } from "./index.ts"

/** The last migration of version 0.1: the ones after it run under servers that do not know them. */
const RELEASED = "0009_one_aside"

interface Column {
  readonly type: string
  readonly isNullable: boolean
  /** Whether an INSERT may leave it out. */
  readonly isOptional: boolean
}

interface Schema {
  readonly columns: ReadonlyMap<string, Column>
  /** What restricts the rows of a table: keys that are unique, foreign keys, checks. */
  readonly restrictions: ReadonlySet<string>
}

const added = Object.keys(migrations).filter((name) => name > RELEASED)

const tableOf = (name: string) => name.split(".", 1)[0]!

/** What of a change the servers before it cannot live with. */
const breaches = (before: Schema, after: Schema): ReadonlyArray<string> => {
  const known = new Set([...before.columns.keys()].map(tableOf))
  const ofKnown = (name: string) => known.has(tableOf(name))
  const changed = [...before.columns].flatMap(([name, column]) => {
    const now = after.columns.get(name)
    if (now === undefined) return [`${name} is gone`]
    if (now.type !== column.type) return [`${name} was ${column.type} and is ${now.type}`]
    if (column.isNullable && !now.isNullable) return [`${name} may not be NULL any more`]
    return column.isOptional && !now.isOptional ? [`${name} may not be left out any more`] : []
  })
  const demanded = [...after.columns].flatMap(([name, { isOptional }]) =>
    !before.columns.has(name) && ofKnown(name) && !isOptional ? [`${name} may not be left out`] : []
  )
  const restricted = [...after.restrictions].filter((name) => !before.restrictions.has(name) && ofKnown(name))
  return [...changed, ...demanded, ...restricted.map((name) => `${name} restricts known rows`)]
}

let pool: Pool
let database: string
let db: Kysely<unknown>
beforeAll(async () => {
  database = `e_${randomUUID().replaceAll("-", "")}`
  const url = new URL(inject("mysqlUrl"))
  pool = createPool({ uri: url.href, connectionLimit: 2 })
  await pool.promise().query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`)
  url.pathname = `/${database}`
  db = new Kysely({ dialect: new MysqlDialect({ pool: createPool({ uri: url.href, connectionLimit: 2 }) }) })
  for (const [name, migration] of Object.entries(migrations)) if (name <= RELEASED) await migration.up(db)
})
afterAll(async () => {
  await db.destroy()
  await pool.promise().query(`DROP DATABASE ${database}`)
  pool.end()
})

const rowsOf = async (query: string): Promise<ReadonlyArray<Readonly<Record<string, string | null>>>> => {
  const [rows] = await pool.promise().query(query, [database])
  return rows as unknown as ReadonlyArray<Readonly<Record<string, string | null>>>
}

const schema = async (): Promise<Schema> => {
  const columns = await rowsOf(
    `SELECT CONCAT(table_name, '.', column_name) AS name, column_type AS type, is_nullable AS nullable,
      column_default AS fallback, extra FROM information_schema.columns WHERE table_schema = ?`
  )
  const restrictions = await rowsOf(
    `SELECT CONCAT(table_name, '.', constraint_name) AS name FROM information_schema.table_constraints
      WHERE table_schema = ?`
  )
  return {
    columns: new Map(
      columns.map(({ extra, fallback, name, nullable, type }) => [
        name!,
        {
          type: type!,
          isNullable: nullable === "YES",
          isOptional:
            nullable === "YES" || fallback !== null || /auto_increment|DEFAULT_GENERATED/i.test(extra ?? "")
        }
      ])
    ),
    restrictions: new Set(restrictions.map(({ name }) => name!))
  }
}

// Guarantees: a server of the release before serves on while the next one's schema is in place.
test("each migration adds only what servers that do not know it can leave out", async () => {
  const found: Record<string, ReadonlyArray<string>> = {}
  for (const name of added) {
    const before = await schema()
    await migrations[name]!.up(db)
    found[name] = breaches(before, await schema())
  }
  expect(found).toEqual(Object.fromEntries(added.map((name) => [name, []])))
})

test.each([
  ["DROP COLUMN topic", "outbox.topic is gone"],
  ["RENAME COLUMN topic TO subject", "outbox.topic is gone"],
  ["MODIFY topic VARCHAR(3) NOT NULL", "outbox.topic was "],
  ["MODIFY published_at DATETIME(3) NOT NULL", "outbox.published_at may not be NULL any more"],
  ["ADD COLUMN colour INT NOT NULL", "outbox.colour may not be left out"],
  ["ADD UNIQUE KEY one_topic (topic)", "outbox.one_topic restricts known rows"],
  ["ADD CONSTRAINT long_topic CHECK (LENGTH(topic) > 3)", "outbox.long_topic restricts known rows"]
])("ALTER TABLE outbox %s would be found", async (change, breach) => {
  const before = await schema()
  await pool.promise().query(`CREATE TABLE ${database}.kept LIKE ${database}.outbox`)
  try {
    await pool.promise().query(`ALTER TABLE ${database}.outbox ${change}`)
    const found = breaches(before, await schema())
    expect(found.some((text) => text.startsWith(breach))).toBe(true)
  } finally {
    await pool.promise().query(`DROP TABLE ${database}.outbox`)
    await pool.promise().query(`RENAME TABLE ${database}.kept TO ${database}.outbox`)
  }
})
