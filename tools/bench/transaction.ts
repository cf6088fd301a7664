import type { Pool, PoolConnection } from "mysql2/promise"

const DEADLOCK = 1213

/** Runs the body in a transaction on a connection of the pool, and again after a deadlock, up to `attempts` times. */
export const transactionOn = async <A>(
  pool: Pool,
  attempts: number,
  body: (connection: PoolConnection) => Promise<A>
): Promise<A> => {
  const connection = await pool.getConnection()
  try {
    for (let attempt = 1; ; attempt += 1) {
      await connection.query("BEGIN")
      try {
        const result = await body(connection)
        await connection.query("COMMIT")
        return result
      } catch (error) {
        await connection.query("ROLLBACK")
        if ((error as { readonly errno?: number }).errno !== DEADLOCK || attempt === attempts) throw error
      }
    }
  } finally {
    connection.release()
  }
}
