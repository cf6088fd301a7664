import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import { withDeadline, type SqlAddress } from "../clients.ts"

const CONNECT_DEADLINE_MS = 10_000
const STATEMENT_DEADLINE_MS = 60_000

/** One connection that is opened when it is needed, and again after it was lost. */
export class SqlSession {
  readonly #address: SqlAddress
  readonly #greeting: string
  #connection: Promise<Connection> | undefined

  /** `greeting`: statements that every new connection begins with. */
  constructor(address: SqlAddress, greeting: string) {
    this.#address = address
    this.#greeting = greeting
  }

  /** Runs one statement, or several separated by `;`. The rows are those of a single one. */
  async query(sql: string, values: ReadonlyArray<unknown> = []): Promise<ReadonlyArray<RowDataPacket>> {
    const connection = await this.#open()
    const work = connection.query<Array<RowDataPacket>>(sql, [...values])
    const [rows] = await withDeadline(
      work,
      STATEMENT_DEADLINE_MS,
      `the SQL server did not answer to ${shorten(sql)}`
    )
    return rows
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined)
    this.#connection = undefined
    connection?.destroy()
  }

  #open(): Promise<Connection> {
    const opening = (this.#connection ??= this.#connect())
    opening.catch(() => {
      if (this.#connection === opening) this.#connection = undefined
    })
    return opening
  }

  async #connect(): Promise<Connection> {
    const { host, port, user, password } = this.#address
    const connection = await createConnection({
      host,
      port,
      user,
      password,
      connectTimeout: CONNECT_DEADLINE_MS,
      multipleStatements: true,
      supportBigNumbers: true
    })
    connection.on("error", () => (this.#connection = undefined))
    await connection.query(this.#greeting)
    return connection
  }
}

const shorten = (sql: string) => (sql.length > 80 ? `${sql.slice(0, 80)}...` : sql)
