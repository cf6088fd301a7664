import { numberOf, rowsOf, soldAndLeft, type Client, type PlantedBug } from "./planted.ts"

const COUNTED = `if not redis.call('SET', KEYS[1], 'held', 'NX') then return 0 end
return redis.call('INCR', KEYS[2])`

/** A token that grows through a restart: the clock in microseconds, or one more than the previous token. */
const TIMED = `if not redis.call('SET', KEYS[1], 'held', 'NX') then return 0 end
local now = redis.call('TIME')
local token = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now[1] * 1000000 + now[2])
redis.call('SET', KEYS[2], string.format('%.0f', token))
return token`

const sell = async ({ redis, sql }: Client, script: string): Promise<string> => {
  const token = Number(await redis.eval(script, 2, "lock", "token"))
  if (token === 0) return "busy"
  const entered = await rowsOf(
    sql,
    "UPDATE restarted SET fence = ? WHERE id = 1 AND fence <= ?",
    token,
    token
  )
  if (entered === 0) return "stale"
  const left = await numberOf(sql, "SELECT stock FROM restarted WHERE id = 1")
  const written = await rowsOf(
    sql,
    "UPDATE restarted SET stock = ? WHERE id = 1 AND fence <= ?",
    left - 1,
    token
  )
  return written === 1 ? "sold" : "stale"
}

/** Redis restarts without its data: the lock is free, and a counted token starts over. */
export const twoHoldersAfterRestart = (): PlantedBug => ({
  name: "two holders after a restart",
  clients: 2,
  uses: ["redis", "sql"],
  schema: ["CREATE TABLE restarted (id INT PRIMARY KEY, stock INT, fence BIGINT) ENGINE=InnoDB"],
  setup: async ({ redis, sql }) => {
    await redis.del("lock", "token")
    await sql.query("REPLACE INTO restarted VALUES (1, 5, 0)")
  },
  actors: ({ redis }) => [
    { name: "Redis restarts without its data", run: async () => void (await redis.flushall()) }
  ],
  buggy: (client) => sell(client, COUNTED),
  fixed: (client) => sell(client, TIMED),
  check: async ({ sql }, results) =>
    soldAndLeft(results, await numberOf(sql, "SELECT stock FROM restarted WHERE id = 1"), 5)
})
