import { createConnection, type RowDataPacket } from "mysql2/promise"
import { databaseFactory, type IsolatedDatabase, type TemplateOptions } from "../services/index.ts"
import type { SqlConnection } from "./connection.ts"
import { noteKept } from "./keep.ts"
import type { Isolation, Lent } from "./worker-services.ts"

/** What a test gets as `sql`: a database that holds what the template holds, and that no other test uses meanwhile. */
export interface SqlFixture extends SqlConnection {
  /** The database's name. */
  readonly database: string
  /** `mysql://user:password@host:port/database`. */
  readonly url: string
  /** Whether the whole server is this test file's own. */
  readonly isolation: Isolation
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
  lent: Lent<SqlConnection>,
  template: TemplateOptions
): Promise<WorkerDatabase> {
  const factory = await databaseFactory(lent.connection, template)
  let current: IsolatedDatabase | undefined
  return {
    forTest: async () => {
      if (current === undefined) current = await factory.create()
      else await current.clean()
      return fixture(lent, current)
    },
    keep: (test) => {
      if (current === undefined) return
      noteKept(lent.keptFile, `Kept for "${test}": ${clientCommand(lent.connection, current.name)}`)
      current = undefined
    },
    drop: async () => {
      await current?.drop()
      current = undefined
    }
  }
}

const fixture = (lent: Lent<SqlConnection>, { name, url }: IsolatedDatabase): SqlFixture => ({
  ...lent.connection,
  database: name,
  url,
  isolation: lent.controls === undefined ? "database" : "server",
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
