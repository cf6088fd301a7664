import { createConnection, type RowDataPacket } from "mysql2/promise"
import { databaseFactory, type IsolatedDatabase, type TemplateOptions } from "../services/index.ts"
import type { SqlConnection } from "./connection.ts"
import { noteKept } from "./keep.ts"

/** What a test gets as `sql`: a database that holds what the template holds, and that no other test uses meanwhile. */
export interface SqlFixture extends SqlConnection {
  /** The database's name. */
  readonly database: string
  /** `mysql://user:password@host:port/database`. */
  readonly url: string
  /** Runs one statement on a connection of its own and gives its rows. */
  query(sql: string, values?: ReadonlyArray<unknown>): Promise<ReadonlyArray<RowDataPacket>>
}

/** The database of one worker, as its tests use it one after the other. */
export interface WorkerDatabase {
  /** The database in the template's state. */
  forTest(): Promise<SqlFixture>
  /** The database is left as it is; the next test gets another one. */
  keep(test: string): void
  drop(): Promise<void>
}

/** Prepares the template and the worker's first database. */
export async function workerDatabase(
  connection: SqlConnection,
  template: TemplateOptions,
  keptFile: string
): Promise<WorkerDatabase> {
  const factory = await databaseFactory(connection, template)
  let current: IsolatedDatabase | undefined
  return {
    forTest: async () => {
      if (current === undefined) current = await factory.create()
      else await current.clean()
      return fixture(connection, current)
    },
    keep: (test) => {
      if (current === undefined) return
      noteKept(keptFile, `Kept for "${test}": ${clientCommand(connection, current.name)}`)
      current = undefined
    },
    drop: async () => {
      await current?.drop()
      current = undefined
    }
  }
}

const fixture = (connection: SqlConnection, { name, url }: IsolatedDatabase): SqlFixture => ({
  ...connection,
  database: name,
  url,
  query: async (sql, values = []) => {
    const client = await createConnection({ uri: url, connectTimeout: 10_000 })
    client.on("error", () => {})
    try {
      const [rows] = await client.query<Array<RowDataPacket>>(sql, [...values])
      return rows
    } finally {
      client.destroy()
    }
  }
})

const clientCommand = ({ flavour, host, port, user, password }: SqlConnection, database: string) =>
  `${flavour === "mysql" ? "mysql" : "mariadb"} --protocol=tcp -h ${host} -P ${port} -u ${user} -p'${password}' ${database}`
