import { quoted } from "../clients.ts"
import type { SqlSession } from "./session.ts"

/** A table of the template. */
export interface TableBlueprint {
  readonly name: string
  readonly ddl: string
  /** The writable columns, without the generated ones. */
  readonly columns: ReadonlyArray<string>
  /** Whether the migrations or the seed inserted rows. */
  readonly hasRows: boolean
  readonly hasTriggers: boolean
  readonly hasAutoIncrement: boolean
}

/** A view, trigger or routine, with the sql_mode it was created under. */
interface StoredProgram {
  readonly ddl: string
  readonly sqlMode: string
}

/** The statements that recreate the template in another database, and the tables whose rows are copied from it. */
export interface Blueprint {
  readonly template: string
  readonly charset: string
  readonly collation: string
  readonly tables: ReadonlyArray<TableBlueprint>
  readonly programs: ReadonlyArray<StoredProgram>
}

/** Reads the blueprint of a database. Events and MariaDB's sequences are not included. */
export async function readBlueprint(session: SqlSession, template: string): Promise<Blueprint> {
  await session.query(`USE ${quoted(template)}`)
  const [schema] = await session.query(
    "SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?",
    [template]
  )
  const listed = await session.query("SHOW FULL TABLES")
  const named = (type: string) =>
    listed.filter((row) => Object.values(row)[1] === type).map((row) => String(Object.values(row)[0]))
  const tables: Array<TableBlueprint> = []
  for (const name of named("BASE TABLE")) tables.push(await readTable(session, template, name))
  return {
    template,
    charset: String(schema?.["charset"]),
    collation: String(schema?.["collation"]),
    tables,
    programs: [
      ...(await readRoutines(session, template)),
      ...(await readViews(session, named("VIEW"))),
      ...(await readTriggers(session))
    ]
  }
}

async function readTable(session: SqlSession, template: string, name: string): Promise<TableBlueprint> {
  const [created] = await session.query(`SHOW CREATE TABLE ${quoted(name)}`)
  const ddl = String(created?.["Create Table"])
  const columns = await session.query(
    "SELECT COLUMN_NAME AS name, EXTRA AS extra FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
    [template, name]
  )
  const rows = await session.query(`SELECT 1 FROM ${quoted(name)} LIMIT 1`)
  const triggers = await session.query("SHOW TRIGGERS WHERE `Table` = ?", [name])
  return {
    name,
    ddl,
    columns: columns
      .filter((column) => !/ GENERATED/i.test(String(column["extra"])))
      .map((column) => String(column["name"])),
    hasRows: rows.length > 0,
    hasTriggers: triggers.length > 0,
    hasAutoIncrement: columns.some((column) => /auto_increment/i.test(String(column["extra"])))
  }
}

async function readTriggers(session: SqlSession): Promise<ReadonlyArray<StoredProgram>> {
  const programs: Array<StoredProgram> = []
  for (const trigger of await session.query("SHOW TRIGGERS")) {
    const [created] = await session.query(`SHOW CREATE TRIGGER ${quoted(String(trigger["Trigger"]))}`)
    programs.push(program(created?.["SQL Original Statement"], created?.["sql_mode"]))
  }
  return programs
}

async function readRoutines(session: SqlSession, template: string): Promise<ReadonlyArray<StoredProgram>> {
  const programs: Array<StoredProgram> = []
  const routines = await session.query(
    "SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?",
    [template]
  )
  for (const { name, type } of routines) {
    const keyword = type === "FUNCTION" ? "Function" : "Procedure"
    const [created] = await session.query(`SHOW CREATE ${keyword} ${quoted(String(name))}`)
    programs.push(program(created?.[`Create ${keyword}`], created?.["sql_mode"]))
  }
  return programs
}

/** Reads the views so that each follows the views it uses. */
async function readViews(
  session: SqlSession,
  names: ReadonlyArray<string>
): Promise<ReadonlyArray<StoredProgram>> {
  const definitions = new Map<string, string>()
  for (const name of names) {
    const [created] = await session.query(`SHOW CREATE VIEW ${quoted(name)}`)
    definitions.set(name, String(created?.["Create View"]))
  }
  const mentions = (name: string, other: string) => definitions.get(name)?.includes(quoted(other)) === true
  return inOrder(names, mentions).map((name) => program(definitions.get(name), ""))
}

/** Orders tables after those they reference: MySQL creates a table that is already referenced much more slowly. */
function referredFirst(tables: ReadonlyArray<TableBlueprint>): ReadonlyArray<TableBlueprint> {
  const byName = new Map(tables.map((table) => [table.name, table]))
  const refers = (name: string, other: string) =>
    byName.get(name)?.ddl.includes(`REFERENCES ${quoted(other)}`) === true
  return inOrder([...byName.keys()], refers).flatMap((name) => byName.get(name) ?? [])
}

/** Orders each name after those it needs; names that need each other keep their order. */
function inOrder(
  names: ReadonlyArray<string>,
  needs: (name: string, other: string) => boolean
): ReadonlyArray<string> {
  const ordered = new Set<string>()
  const place = (name: string, waiting: ReadonlySet<string>): void => {
    for (const other of names)
      if (other !== name && !ordered.has(other) && !waiting.has(other) && needs(name, other))
        place(other, new Set([...waiting, name]))
    ordered.add(name)
  }
  for (const name of names) place(name, new Set())
  return [...ordered]
}

const program = (ddl: unknown, sqlMode: unknown): StoredProgram => ({
  ddl: String(ddl),
  sqlMode: String(sqlMode)
})

/** Creates a database from the blueprint. One round trip creates all tables, so it takes milliseconds. */
export async function build(session: SqlSession, blueprint: Blueprint, database: string): Promise<void> {
  const { charset, collation, tables, programs, template } = blueprint
  await session.query(
    [
      `CREATE DATABASE ${quoted(database)} CHARACTER SET ${charset} COLLATE ${collation}`,
      `USE ${quoted(database)}`,
      // Tables may reference each other in a cycle; a zero in an AUTO_INCREMENT column stays zero.
      "SET FOREIGN_KEY_CHECKS = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
      ...referredFirst(tables).map((table) => table.ddl),
      ...tables.filter((table) => table.hasRows).map((table) => copyRows(template, table)),
      "SET FOREIGN_KEY_CHECKS = 1"
    ].join(";\n")
  )
  for (const { ddl, sqlMode } of programs) {
    await session.query("SET sql_mode = ?", [sqlMode])
    await session.query(ddl)
  }
}

/** Copies on the server, so that no value is converted on its way through a client. */
export function copyRows(template: string, { name, columns }: TableBlueprint): string {
  const list = columns.map(quoted).join(", ")
  return `INSERT INTO ${quoted(name)} (${list}) SELECT ${list} FROM ${quoted(template)}.${quoted(name)}`
}
