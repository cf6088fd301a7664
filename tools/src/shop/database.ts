import type { SqlService } from "@holdfast/testkit"

const ALREADY_THERE = 1007

/** Creates the database unless it is there. Returns whether it was. */
export const ensureDatabase = async (sql: SqlService, name: string): Promise<boolean> => {
  try {
    await sql.createDatabase(name)
    return false
  } catch (error) {
    if ((error as { readonly errno?: number }).errno === ALREADY_THERE) return true
    throw error
  }
}
