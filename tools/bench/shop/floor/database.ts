import { createPool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from "mysql2/promise"
import { peerStores } from "../peer.ts"

/** As many connections as a Holdfast process keeps. */
const pool = createPool({ uri: peerStores().mysqlUrl, connectionLimit: 16, timezone: "Z" })
pool.pool.on("connection", (connection) => {
  connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
  connection.query("SET SESSION time_zone = '+00:00'")
})

type Values = ReadonlyArray<string | number | Date | Buffer>

/** A refusal with the status of its answer. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const DEADLOCK = 1213
const ATTEMPTS = 4

/** Runs the body in a transaction, and again after a deadlock. */
export const transaction = async <A>(body: (connection: PoolConnection) => Promise<A>): Promise<A> => {
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
        if ((error as { readonly errno?: number }).errno !== DEADLOCK || attempt === ATTEMPTS) throw error
      }
    }
  } finally {
    connection.release()
  }
}

export const rows = async <Row>(
  sql: string,
  values: Values = [],
  on: Pick<PoolConnection, "execute"> = pool
): Promise<ReadonlyArray<Row>> => {
  const [found] = await on.execute<Array<RowDataPacket>>(sql, [...values])
  return found as ReadonlyArray<unknown> as ReadonlyArray<Row>
}

export const write = async (on: PoolConnection, sql: string, values: Values): Promise<ResultSetHeader> => {
  const [result] = await on.execute<ResultSetHeader>(sql, [...values])
  return result
}
