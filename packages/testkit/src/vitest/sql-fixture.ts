import { createConnection, type RowDataPacket } from "mysql2/promise"
import { databaseFactory, type IsolatedDatabase, type TemplateOptions } from "../services/index.ts"
import type { SqlConnection } from "./connection.ts"
import { noteKept } from "./keep.ts"
import type { Borrowed } from "./stores.ts"
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

/** The databases of one worker. Its tests use one after the other; concurrent ones get one each. */
export interface WorkerDatabases {
  /** A database in the template's state. */
  forTest(): Promise<Borrowed<SqlFixture>>
  drop(): Promise<void>
}

/** Prepares the template. */
export async function workerDatabases(
  lent: Lent<SqlConnection>,
  template: TemplateOptions
): Promise<WorkerDatabases> {
  const factory = await databaseFactory(lent.connection, template)
  const idle: Array<IsolatedDatabase> = []
  return {
    forTest: async () => {
      const used = idle.pop()
      await used?.clean()
      const database = used ?? (await factory.create())
      return {
        fixture: fixture(lent, database),
        giveBack: () => void idle.push(database),
        keep: (test) =>
          noteKept(lent.keptFile, `Kept for "${test}": ${clientCommand(lent.connection, database.name)}`)
      }
    },
    drop: async () => {
      await Promise.all(idle.splice(0).map((database) => database.drop()))
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
