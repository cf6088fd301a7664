import { createConnection, type RowDataPacket } from "mysql2/promise"
import type { Services } from "@holdfast/testkit"

/** The statements that the SQL server answered, from its general log. */
export interface QueryLog extends AsyncDisposable {
  readonly clear: () => Promise<void>
  /** The selects since the log was cleared: those that name the text, and all others. */
  readonly selects: (naming: string) => Promise<{ readonly naming: number; readonly others: number }>
}

const LOG = "mysql.general_log"

/** Switches the general log on. It needs an administrator of the SQL server. */
export const openQueryLog = async ({ sql }: Services): Promise<QueryLog> => {
  const connection = await createConnection({ uri: sql.url() })
  await connection.query("SET GLOBAL log_output = 'TABLE'")
  await connection.query("SET GLOBAL general_log = ON")
  return {
    clear: async () => {
      await connection.query(`TRUNCATE TABLE ${LOG}`)
    },
    selects: async (naming) => {
      const [rows] = await connection.query<Array<RowDataPacket>>(
        `SELECT CONVERT(argument USING utf8mb4) LIKE ? AS is_named, COUNT(*) AS n FROM ${LOG}
         WHERE command_type IN ('Query', 'Execute') AND CONVERT(argument USING utf8mb4) LIKE 'select%'
           AND CONVERT(argument USING utf8mb4) NOT LIKE '%${LOG}%'
         GROUP BY is_named`,
        [`%${naming}%`]
      )
      const count = (isNamed: number) => Number(rows.find((row) => row["is_named"] === isNamed)?.["n"] ?? 0)
      return { naming: count(1), others: count(0) }
    },
    [Symbol.asyncDispose]: async () => {
      await connection.query("SET GLOBAL general_log = OFF")
      await connection.end()
    }
  }
}
