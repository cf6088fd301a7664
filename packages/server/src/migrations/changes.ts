import { type Kysely, sql } from "kysely"

// oxlint-disable-next-line typescript/no-explicit-any -- the tables of a migration have no types
type AnyDatabase = Kysely<any>

/**
 * Repeatable changes of existing tables, in SQL that MySQL and MariaDB share. MySQL has no `ADD COLUMN IF NOT EXISTS`,
 * so each change first asks the information schema whether it has been made.
 */
export const addColumn = async (db: AnyDatabase, table: string, column: string, definition: string) => {
  if (!(await exists(db, "columns", { table_name: table, column_name: column })))
    await sql.raw(`ALTER TABLE ${table} ADD COLUMN ${column} ${definition}`).execute(db)
}

export const dropColumn = async (db: AnyDatabase, table: string, column: string) => {
  if (await exists(db, "columns", { table_name: table, column_name: column }))
    await sql.raw(`ALTER TABLE ${table} DROP COLUMN ${column}`).execute(db)
}

/** `definition` is the whole key: `KEY name (columns)` or `UNIQUE KEY name (columns)`. */
export const addKey = async (db: AnyDatabase, table: string, name: string, definition: string) => {
  if (!(await exists(db, "statistics", { table_name: table, index_name: name })))
    await sql.raw(`ALTER TABLE ${table} ADD ${definition}`).execute(db)
}

/** `definition` is what follows the name: `FOREIGN KEY (column) REFERENCES table (column)`. */
export const addForeignKey = async (db: AnyDatabase, table: string, name: string, definition: string) => {
  if (!(await exists(db, "table_constraints", { table_name: table, constraint_name: name })))
    await sql.raw(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`).execute(db)
}

/** Replaces a CHECK by one of the same table under a new name, so that the name tells which version is in place. */
export const replaceCheck = async (
  db: AnyDatabase,
  table: string,
  old: string,
  name: string,
  expression: string
) => {
  if (!(await exists(db, "table_constraints", { table_name: table, constraint_name: name })))
    await sql.raw(`ALTER TABLE ${table} ADD CONSTRAINT ${name} CHECK (${expression})`).execute(db)
  if (await exists(db, "table_constraints", { table_name: table, constraint_name: old }))
    await sql.raw(`ALTER TABLE ${table} DROP CONSTRAINT ${old}`).execute(db)
}

export const hasTable = (db: AnyDatabase, table: string) => exists(db, "columns", { table_name: table })

const exists = async (
  db: AnyDatabase,
  view: "columns" | "statistics" | "table_constraints",
  where: Readonly<Record<string, string>>
): Promise<boolean> => {
  // MariaDB keeps the schema of a constraint's table under `constraint_schema` as well.
  const schema = sql.ref(view === "table_constraints" ? "constraint_schema" : "table_schema")
  const conditions = Object.entries(where).map(([column, value]) => sql`${sql.ref(column)} = ${value}`)
  const found = await sql`select 1 from ${sql.table(`information_schema.${view}`)}
    where ${schema} = database() and ${sql.join(conditions, sql` and `)} limit 1`.execute(db)
  return found.rows.length > 0
}
