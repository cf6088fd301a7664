import type { Redis } from "ioredis"
import type { Connection, RowDataPacket } from "mysql2/promise"
import type { Lock } from "./lock.ts"

/** Hands out the next number of the counter; undefined while another visitor is being served. */
export async function takeNumber(sql: Connection, redis: Redis, lock: Lock): Promise<number | undefined> {
  if (!(await lock.acquire(redis))) return undefined
  try {
    const [rows] = await sql.query<Array<RowDataPacket>>("SELECT last FROM counters WHERE name = 'bread'")
    const next = Number(rows[0]?.["last"]) + 1
    await sql.query("UPDATE counters SET last = ? WHERE name = 'bread'", [next])
    return next
  } finally {
    await lock.release(redis)
  }
}
