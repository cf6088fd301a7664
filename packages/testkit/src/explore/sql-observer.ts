import type { Connection, RowDataPacket } from "mysql2/promise"
import { withDeadline } from "../internal/promises.ts"
import { connectSql, sqlServerInfo } from "../services/clients.ts"
import type { SqlAddress, SqlFlavour, SqlRow } from "../services/service.ts"

const ANSWER_DEADLINE_MS = 10_000

/** A separate connection that reads the locks of other connections. */
export class SqlObserver {
  readonly flavour: SqlFlavour
  readonly #connection: Connection

  private constructor(connection: Connection, flavour: SqlFlavour) {
    this.#connection = connection
    this.flavour = flavour
  }

  /**
   * Connects to the server. The user needs the privilege PROCESS, and on MySQL SELECT on performance_schema.
   *
   * @throws Error when the server does not answer, or is a MySQL without its performance schema
   */
  static async connect(address: SqlAddress): Promise<SqlObserver> {
    const connection = await connectSql(address)
    try {
      const { flavour } = await sqlServerInfo(connection)
      const observer = new SqlObserver(connection, flavour)
      if (flavour === "mysql") await observer.#requirePerformanceSchema()
      return observer
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  /** Runs one statement, or several separated by `;`, each of which then has its own array of rows. */
  async query<Rows extends ReadonlyArray<unknown> = ReadonlyArray<SqlRow>>(
    sql: string,
    values: ReadonlyArray<unknown> = []
  ): Promise<Rows> {
    const work = this.#connection.query<Array<RowDataPacket>>(sql, [...values])
    const [rows] = await withDeadline(work, ANSWER_DEADLINE_MS, "the SQL server did not report its locks")
    // Only the caller knows the shape of the rows of several statements.
    return rows as ReadonlyArray<unknown> as Rows
  }

  close(): void {
    this.#connection.destroy()
  }

  async #requirePerformanceSchema(): Promise<void> {
    const [row] = await this.query("SELECT @@performance_schema AS isOn")
    if (Number(row?.["isOn"]) !== 1)
      throw new Error("The MySQL server runs with performance_schema=OFF, so it does not expose its locks.")
  }
}
