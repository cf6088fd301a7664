import { createPool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from "mysql2/promise"
import { transactionOn } from "../../transaction.ts"
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

const ATTEMPTS = 4

/** Runs the body in a transaction, and again after a deadlock. */
export const transaction = <A>(body: (connection: PoolConnection) => Promise<A>): Promise<A> =>
  transactionOn(pool, ATTEMPTS, body)

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
