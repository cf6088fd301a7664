import type { Shop } from "./shop.ts"

/** Copies every table to `saved_*`, so that each damage starts from consistent data. */
export const snapshot = async (shop: Shop): Promise<ReadonlyArray<string>> => {
  const [rows] = await shop.sql.query(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'kysely%'",
    [shop.database]
  )
  const tables = (rows as unknown as ReadonlyArray<{ name: string }>).map(({ name }) => name)
  for (const table of tables) {
    await shop.sql.query(`CREATE TABLE saved_${table} LIKE ${table}`)
    await shop.sql.query(`INSERT INTO saved_${table} SELECT * FROM ${table}`)
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
      await connection.query(`INSERT INTO ${table} SELECT * FROM saved_${table}`)
    }
  } finally {
    await connection.query("SET FOREIGN_KEY_CHECKS = 1")
    connection.release()
  }
}
