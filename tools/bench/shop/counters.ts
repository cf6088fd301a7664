import { Redis } from "ioredis"
import { createConnection, type RowDataPacket } from "mysql2/promise"
import type { Services } from "@holdfast/testkit"

/** How many statements and commands the stores have answered. */
interface Counts {
  readonly statements: number
  /** Those inside of scripts count, too. */
  readonly commands: number
}

interface Counters extends AsyncDisposable {
  /** What was asked of the stores since the last call. What this call asks is not counted. */
  readonly sinceLast: () => Promise<Counts>
}

export const openCounters = async ({ redis, sql }: Services): Promise<Counters> => {
  const connection = await createConnection({ uri: sql.url() })
  const client = new Redis(redis.url())
  const count = async (): Promise<Counts> => {
    const [rows] = await connection.query<Array<RowDataPacket>>("SHOW GLOBAL STATUS LIKE 'Questions'")
    const processed = /total_commands_processed:(\d+)/.exec(await client.info("stats"))?.[1]
    return {
      statements: Number(rows[0]?.["Value"]),
      commands: Number(processed)
    }
  }
  let last = await count()
  return {
    sinceLast: async () => {
      const now = await count()
      const counts = {
        statements: now.statements - last.statements - 1,
        commands: now.commands - last.commands - 1
      }
      last = now
      return counts
    },
    [Symbol.asyncDispose]: async () => {
      client.disconnect()
      await connection.end()
    }
  }
}
