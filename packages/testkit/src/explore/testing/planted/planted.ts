import type { Redis } from "ioredis"
import type { Connection, ResultSetHeader, RowDataPacket } from "mysql2/promise"
import type { Actor, ClientResult } from "../../scenario.ts"

/** A client's connections, made by the client libraries. */
export interface Client {
  readonly redis: Redis
  readonly sql: Connection
  readonly close: () => void
}

/** A concurrency bug, its correction, and the check that tells them apart. */
export interface PlantedBug {
  readonly name: string
  readonly clients: number
  readonly uses: ReadonlyArray<"redis" | "sql">
  /** Tables, created once. */
  readonly schema?: ReadonlyArray<string>
  readonly setup: (admin: Client) => Promise<unknown>
  readonly actors?: (admin: Client) => ReadonlyArray<Actor>
  readonly buggy: (client: Client, number: number) => Promise<string>
  readonly fixed: (client: Client, number: number) => Promise<string>
  readonly check: (admin: Client, results: ReadonlyArray<ClientResult<string>>) => Promise<string | undefined>
}

/** The number of clients with this result. */
export const count = (results: ReadonlyArray<ClientResult<string>>, value: string): number =>
  results.filter((result) => result.status === "fulfilled" && result.value === value).length

/** The first number of the first row. */
export const numberOf = async (
  sql: Connection,
  query: string,
  ...values: Array<unknown>
): Promise<number> => {
  const [rows] = await sql.query<Array<RowDataPacket>>(query, values)
  return Number(Object.values(rows[0] ?? {})[0])
}

/** The number of rows that a statement affected. */
export const rowsOf = async (
  sql: Connection,
  statement: string,
  ...values: Array<unknown>
): Promise<number> => {
  const [{ affectedRows }] = await sql.query<ResultSetHeader>(statement, values)
  return affectedRows
}

/** Checks that the number of sold pieces equals the decrease of the stock. */
export const soldAndLeft = (
  results: ReadonlyArray<ClientResult<string>>,
  left: number,
  initial: number
): string | undefined => {
  const sold = count(results, "sold")
  return sold + left === initial ? undefined : `${sold} sold and ${left} left of ${initial}.`
}
