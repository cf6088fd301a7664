import { count, numberOf, type PlantedBug } from "./planted.ts"

/** A subscriber that is told of a change before its commit reads the old state. */
export const publishBeforeCommit = (): PlantedBug => {
  const readEvent: PlantedBug["buggy"] = async ({ redis, sql }) => {
    if ((await redis.lpop("events")) === null) return "no event"
    const status = await numberOf(sql, "SELECT paid FROM announced WHERE id = 1")
    return status === 1 ? "saw it" : "saw nothing"
  }
  return {
    name: "publish before commit",
    clients: 3,
    uses: ["redis", "sql"],
    schema: ["CREATE TABLE announced (id INT PRIMARY KEY, paid INT) ENGINE=InnoDB"],
    setup: async ({ redis, sql }) => {
      await redis.del("events")
      await sql.query("REPLACE INTO announced VALUES (1, 0)")
    },
    buggy: async (client, number) => {
      if (number > 0) return readEvent(client, number)
      await client.sql.query("BEGIN")
      await client.sql.query("UPDATE announced SET paid = 1 WHERE id = 1")
      await client.redis.rpush("events", "order 1 is paid")
      await client.sql.query("COMMIT")
      return "paid"
    },
    fixed: async (client, number) => {
      if (number > 0) return readEvent(client, number)
      await client.sql.query("BEGIN")
      await client.sql.query("UPDATE announced SET paid = 1 WHERE id = 1")
      await client.sql.query("COMMIT")
      await client.redis.rpush("events", "order 1 is paid")
      return "paid"
    },
    check: async (_admin, results) =>
      count(results, "saw nothing") > 0
        ? "A subscriber was told of a payment that was not committed."
        : undefined
  }
}
