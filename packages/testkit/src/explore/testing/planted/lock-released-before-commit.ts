import { numberOf, soldAndLeft, type Client, type PlantedBug } from "./planted.ts"

const beginAndSell = async ({ redis, sql }: Client): Promise<boolean> => {
  if ((await redis.set("lock", "held", "NX")) === null) return false
  await sql.query("BEGIN")
  const left = await numberOf(sql, "SELECT stock FROM committed WHERE id = 1")
  await sql.query("UPDATE committed SET stock = ? WHERE id = 1", [left - 1])
  return true
}

/** The next holder of the lock reads before the previous one has committed. */
export const lockReleasedBeforeCommit = (): PlantedBug => ({
  name: "lock released before commit",
  clients: 3,
  uses: ["redis", "sql"],
  schema: ["CREATE TABLE committed (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB"],
  setup: async ({ redis, sql }) => {
    await redis.del("lock")
    await sql.query("REPLACE INTO committed VALUES (1, 5)")
  },
  buggy: async (client) => {
    if (!(await beginAndSell(client))) return "busy"
    await client.redis.del("lock")
    await client.sql.query("COMMIT")
    return "sold"
  },
  fixed: async (client) => {
    if (!(await beginAndSell(client))) return "busy"
    await client.sql.query("COMMIT")
    await client.redis.del("lock")
    return "sold"
  },
  check: async ({ sql }, results) =>
    soldAndLeft(results, await numberOf(sql, "SELECT stock FROM committed WHERE id = 1"), 5)
})
