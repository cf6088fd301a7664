import type { RowDataPacket } from "mysql2/promise"
import { connectSql } from "../services/clients.ts"
import { databaseFactory, type IsolatedDatabase, type TemplateOptions } from "../services/index.ts"
import type { SqlRow } from "../services/service.ts"
import type { SqlConnection } from "./connection.ts"
import { KEPT_SECONDS, noteKept, type Borrowed } from "./keep.ts"
import type { Isolation, Lent } from "./worker-services.ts"

/** The fixture `sql`: a database with the contents of the template that no other test uses at the same time. */
export interface SqlFixture extends SqlConnection {
  /** The database's name. */
  readonly database: string
  /** `mysql://user:password@host:port/database`. */
  readonly url: string
  /** "server" when this test file has the whole server to itself. */
  readonly isolation: Isolation
  /** Runs one statement on a new connection and returns its rows. */
  query(sql: string, values?: ReadonlyArray<unknown>): Promise<ReadonlyArray<SqlRow>>
}

/** The databases of one worker. Sequential tests share one; concurrent tests get one each. */
interface WorkerDatabases {
  /** A database in the template's state. */
  forTest(): Promise<Borrowed<SqlFixture>>
  drop(): Promise<void>
}

/** Prepares the template of the worker's databases. */
export async function workerDatabases(
  lent: Lent<SqlConnection>,
  { migrate, seed, migrations }: TemplateOptions
): Promise<WorkerDatabases> {
  const factory = await databaseFactory(lent.connection, {
    ...(migrate === undefined ? {} : { migrate }),
    ...(seed === undefined ? {} : { seed }),
    ...(migrations === undefined ? {} : { migrations })
  })
  const idle: Array<IsolatedDatabase> = []
  return {
    forTest: async () => {
      const used = idle.pop()
      await used?.clean()
      const database = used ?? (await factory.create())
      return {
        fixture: fixture(lent, database),
        giveBack: () => void idle.push(database),
        keep: async (test) => {
          await database.keep(KEPT_SECONDS)
          noteKept(lent.keptFile, `Kept for "${test}": ${clientCommand(lent.connection, database.name)}`)
        }
      }
    },
    drop: async () => {
      await Promise.all(idle.splice(0).map((database) => database.drop()))
      await factory.drop()
    }
  }
}

const fixture = (lent: Lent<SqlConnection>, { name, url }: IsolatedDatabase): SqlFixture => ({
  ...lent.connection,
  database: name,
  url,
  isolation: lent.controls === undefined ? "database" : "server",
  query: async (sql, values = []) => {
    const client = await connectSql(lent.connection, { database: name, multipleStatements: false })
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
