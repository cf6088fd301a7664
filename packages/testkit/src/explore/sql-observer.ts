import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import { sqlServerInfo, withDeadline, type SqlAddress } from "../services/clients.ts"
import type { SqlFlavour } from "../services/service.ts"

/** How long the server may take to answer a question about its locks. */
const ANSWER_DEADLINE_MS = 10_000

/** A connection of our own that looks at the locks of others. */
export class SqlObserver {
  readonly flavour: SqlFlavour
  readonly #connection: Connection

  private constructor(connection: Connection, flavour: SqlFlavour) {
    this.#connection = connection
    this.flavour = flavour
  }

  /**
   * The user needs the privilege PROCESS, on MySQL also SELECT on performance_schema.
   *
   * @throws when the server cannot be reached, or is a MySQL without its performance schema
   */
  static async connect({ host, port, user, password }: SqlAddress): Promise<SqlObserver> {
    const options = { host, port, user, password, connectTimeout: ANSWER_DEADLINE_MS }
    const connection = await createConnection({ ...options, multipleStatements: true })
    // A server that dies fails the next query; without a listener it would end the process.
    connection.on("error", () => {})
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

  /** Runs one statement, or several separated by `;`, whose rows then are an array each. */
  async query<Rows extends ReadonlyArray<unknown> = ReadonlyArray<RowDataPacket>>(
    sql: string,
    values: ReadonlyArray<unknown> = []
  ): Promise<Rows> {
    const work = this.#connection.query<Array<RowDataPacket>>(sql, [...values])
    const [rows] = await withDeadline(work, ANSWER_DEADLINE_MS, "the SQL server did not tell about its locks")
    // What mysql2 gives for several statements is known to the caller alone.
    return rows as ReadonlyArray<unknown> as Rows
  }

  close(): void {
    this.#connection.destroy()
  }

  async #requirePerformanceSchema(): Promise<void> {
    const [row] = await this.query("SELECT @@performance_schema AS isOn")
    if (Number(row?.["isOn"]) !== 1)
      throw new Error(
        "The MySQL server runs with performance_schema=OFF, so it does not tell about its locks."
      )
  }
}
