import type { SqlService } from "@holdfast/testkit"

const DATABASE_EXISTS = 1007

/**
 * Creates a database unless it exists.
 * @returns whether it existed
 */
export const ensureDatabase = async (sql: SqlService, name: string): Promise<boolean> => {
  try {
    await sql.createDatabase(name)
    return false
  } catch (error) {
    if ((error as { readonly errno?: number }).errno === DATABASE_EXISTS) return true
    throw error
  }
}
