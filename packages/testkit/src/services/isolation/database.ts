import { assertOptions } from "../../internal/options.ts"
import { randomBytes } from "node:crypto"
import { quoted, sqlMethods } from "../clients.ts"
import type { SqlAddress } from "../service.ts"
import { build, copyRows, type Blueprint, type TableBlueprint } from "./blueprint.ts"
import { SqlSession } from "./session.ts"
import { dropOurs, explainingDenial, keepOurs, mark } from "./registry.ts"
import { GREETING, obtainTemplate, type TemplateOptions } from "./template.ts"

/** A private database created from a migrated template. Disposing it drops it. */
export interface IsolatedDatabase extends AsyncDisposable {
  readonly name: string
  readonly url: string
  /** Restores the tables that differ from the template. Resolves with their names. */
  clean(): Promise<ReadonlyArray<string>>
  /** Drops the database. */
  drop(): Promise<void>
  /** Leaves the database for `seconds`, even after this process has ended. */
  keep(seconds: number): Promise<void>
}

/** Creates databases from one template. */
export interface DatabaseFactory {
  /** Creates a database with the schema and rows of the template. */
  create(): Promise<IsolatedDatabase>
  /** Drops the template, unless later runs can use it because its `migrations` are known. */
  drop(): Promise<void>
}

/**
 * Migrates and seeds a template once, and creates databases from it by replaying its definitions and copying its rows.
 * That takes milliseconds where a migration takes seconds.
 *
 * @param address the server; a `SqlService` is one
 * @throws TemplateFailed when `migrate` or `seed` throws
 * @throws DatabasesForbidden when the user may not create databases: the statements that allow it
 * @throws ForeignDatabase when the server has a database with a name of the testkit that it did not make
 */
export async function databaseFactory(
  address: SqlAddress,
  options: TemplateOptions = {}
): Promise<DatabaseFactory> {
  assertOptions("databaseFactory", options, { migrate: true, seed: true, migrations: true })
  const { blueprint, drop } = await obtainTemplate(address, options)
  return { create: () => createDatabase(address, blueprint), drop }
}

async function createDatabase(address: SqlAddress, blueprint: Blueprint): Promise<IsolatedDatabase> {
  const name = `hf_${process.pid}_${randomBytes(4).toString("hex")}`
  const session = new SqlSession(address, GREETING)
  await mark(session, name)
  await explainingDenial(session, () => build(session, blueprint, name))
  let baseline = await observeNew(session, blueprint, name)
  const drop = async () => {
    await dropOurs(session, name)
    await session.close()
  }
  return {
    name,
    url: sqlMethods(address).url(name),
    clean: async () => {
      const now = await observe(session, blueprint.tables, name)
      const dirty = blueprint.tables.filter(
        (table) => !isEqual(baseline.get(table.name), now.get(table.name))
      )
      if (!sameTables(baseline, now) || dirty.some(cannotBeRestored)) {
        await session.query(`DROP DATABASE IF EXISTS ${quoted(name)}`)
        await build(session, blueprint, name)
        baseline = await observeNew(session, blueprint, name)
        return blueprint.tables.map((table) => table.name)
      }
      if (dirty.length > 0) await session.query(restore(name, blueprint, dirty, baseline))
      return dirty.map((table) => table.name)
    },
    drop,
    keep: async (seconds) => {
      await keepOurs(session, name, seconds)
      await session.close()
    },
    [Symbol.asyncDispose]: drop
  }
}

/** Restoring the rows would fire the table's triggers. */
const cannotBeRestored = (table: TableBlueprint) => table.hasRows && table.hasTriggers

/** Tells an untouched table from one that was written to. */
interface TableState {
  readonly counter: number | undefined
  readonly content: string
}

/** The state of each table, by name. */
type Observation = ReadonlyMap<string, TableState>

const isEqual = (a: TableState | undefined, b: TableState | undefined) =>
  a?.counter === b?.counter && a?.content === b?.content

/** A test that adds or drops tables may have changed the schema in ways that this does not detect. */
const sameTables = (a: Observation, b: Observation) =>
  a.size === b.size && [...a.keys()].every((name) => b.has(name))

/**
 * A table that is empty in the template is untouched while it is empty and its counter has not moved; a table with rows,
 * while their checksum is the same. Tables that the template does not have are listed, too.
 */
async function observe(
  session: SqlSession,
  tables: ReadonlyArray<TableBlueprint>,
  database: string
): Promise<Observation> {
  await session.query(`USE ${quoted(database)}`)
  const counters = await session.query(
    "SELECT TABLE_NAME AS name, AUTO_INCREMENT AS counter FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'",
    [database]
  )
  const present = new Set(counters.map(({ name }) => String(name)))
  const here = tables.filter((table) => present.has(table.name))
  const content = new Map([
    ...(await filledTables(
      session,
      here.filter((table) => !table.hasRows)
    )),
    ...(await checksums(
      session,
      here.filter((table) => table.hasRows)
    ))
  ])
  return new Map(
    counters.map(({ name, counter }) => [
      String(name),
      {
        counter: counter === null ? undefined : Number(counter),
        content: content.get(String(name)) ?? "empty"
      }
    ])
  )
}

/** In a new database, tables that are empty in the template are known to be empty; checking each would be slow. */
const observeNew = (session: SqlSession, { tables }: Blueprint, database: string) =>
  observe(
    session,
    tables.filter((table) => table.hasRows),
    database
  )

async function filledTables(session: SqlSession, tables: ReadonlyArray<TableBlueprint>) {
  if (tables.length === 0) return []
  const filled = await session.query(tables.map(whenFilled).join(" UNION ALL "))
  return filled.map(({ name }) => [String(name), "filled"] as const)
}

async function checksums(session: SqlSession, tables: ReadonlyArray<TableBlueprint>) {
  if (tables.length === 0) return []
  const sums = await session.query(`CHECKSUM TABLE ${tables.map(({ name }) => quoted(name)).join(", ")}`)
  return tables.map(({ name }, index) => [name, String(sums[index]?.["Checksum"])] as const)
}

const whenFilled = ({ name }: TableBlueprint) =>
  `SELECT '${name.replaceAll("\\", "\\\\").replaceAll("'", "''")}' AS name FROM DUAL WHERE EXISTS (SELECT 1 FROM ${quoted(name)})`

function restore(
  database: string,
  { template }: Blueprint,
  dirty: ReadonlyArray<TableBlueprint>,
  baseline: Observation
): string {
  return [
    `USE ${quoted(database)}`,
    "SET FOREIGN_KEY_CHECKS = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
    ...dirty.map(emptyTable),
    ...dirty.filter((table) => table.hasRows).map((table) => copyRows(template, table)),
    ...dirty.flatMap(({ name }) => resetCounter(name, baseline.get(name)?.counter)),
    "SET FOREIGN_KEY_CHECKS = 1"
  ].join(";\n")
}

/** DELETE is faster for the few rows of a test, but it fires triggers and does not reset the counter. */
const emptyTable = ({ name, hasTriggers, hasAutoIncrement }: TableBlueprint) =>
  hasTriggers || hasAutoIncrement ? `TRUNCATE TABLE ${quoted(name)}` : `DELETE FROM ${quoted(name)}`

/** TRUNCATE and the copied rows leave the counter one above the highest value, which may differ from the template. */
const resetCounter = (name: string, counter: number | undefined) =>
  counter === undefined || counter <= 1 ? [] : [`ALTER TABLE ${quoted(name)} AUTO_INCREMENT = ${counter}`]
