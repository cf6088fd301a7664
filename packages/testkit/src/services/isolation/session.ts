import type { Connection, RowDataPacket } from "mysql2/promise"
import { withDeadline } from "../../internal/promises.ts"
import { connectSql } from "../clients.ts"
import type { SqlAddress, SqlRow } from "../service.ts"

const STATEMENT_DEADLINE_MS = 60_000

/** One connection, opened on first use and reopened after it is lost. */
export class SqlSession {
  readonly #address: SqlAddress
  readonly #greeting: string
  #connection: Promise<Connection> | undefined

  /** @param greeting statements that run first on every new connection */
  constructor(address: SqlAddress, greeting: string) {
    this.#address = address
    this.#greeting = greeting
  }

  /** Runs one statement, or several separated by `;`. Only a single statement returns its rows. */
  async query(sql: string, values: ReadonlyArray<unknown> = []): Promise<ReadonlyArray<SqlRow>> {
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
    const connection = await connectSql(this.#address, { supportBigNumbers: true })
    connection.on("error", () => (this.#connection = undefined))
    await connection.query(this.#greeting)
    return connection
  }
}

const shorten = (sql: string) => (sql.length > 80 ? `${sql.slice(0, 80)}...` : sql)
