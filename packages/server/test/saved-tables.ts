import type { Pool } from "mysql2/promise"
import type { Shop } from "./shop.ts"

/** An asterisk leaves out the invisible columns. */
const copyRows = async (sql: Pick<Pool, "query">, from: string, to: string) => {
  const [rows] = await sql.query(`SHOW COLUMNS FROM ${from}`)
  const columns = (rows as unknown as ReadonlyArray<{ Field: string }>).map(({ Field }) => `\`${Field}\``)
  await sql.query(`INSERT INTO ${to} (${columns.join()}) SELECT ${columns.join()} FROM ${from}`)
}

/** Copies every table to `saved_*`, so that each damage starts from consistent data. */
export const snapshot = async (shop: Shop): Promise<ReadonlyArray<string>> => {
  const [rows] = await shop.sql.query(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'kysely%'",
    [shop.database]
  )
  const tables = (rows as unknown as ReadonlyArray<{ name: string }>).map(({ name }) => name)
  for (const table of tables) {
    await shop.sql.query(`CREATE TABLE saved_${table} LIKE ${table}`)
    await copyRows(shop.sql, table, `saved_${table}`)
  }
  return tables
}

/** Restores the saved rows. */
export const restore = async (shop: Shop, tables: ReadonlyArray<string>): Promise<void> => {
  const connection = await shop.sql.getConnection()
  try {
    await connection.query("SET FOREIGN_KEY_CHECKS = 0")
    for (const table of tables) {
      await connection.query(`DELETE FROM ${table}`)
      await copyRows(connection, `saved_${table}`, table)
    }
  } finally {
    await connection.query("SET FOREIGN_KEY_CHECKS = 1")
    connection.release()
  }
}

/** Puts the saved rows back as a database that was swapped for its backup has them: at once, the next ids included. */
export const swapIn = async (
  sql: Pool,
  tables: ReadonlyArray<string>,
  nextEventId: number
): Promise<void> => {
  const connection = await sql.getConnection()
  try {
    await connection.query("SET FOREIGN_KEY_CHECKS = 0")
    const locks = tables.flatMap((table) => [`${table} WRITE`, `saved_${table} READ`])
    await connection.query(`LOCK TABLES ${locks.join(", ")}`)
    for (const table of tables) {
      await connection.query(`DELETE FROM ${table}`)
      await copyRows(connection, `saved_${table}`, table)
    }
    await connection.query(`ALTER TABLE outbox AUTO_INCREMENT = ${nextEventId}`)
  } finally {
    await connection.query("UNLOCK TABLES")
    await connection.query("SET FOREIGN_KEY_CHECKS = 1")
    connection.release()
  }
}
