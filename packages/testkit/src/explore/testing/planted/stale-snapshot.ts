import type { Connection } from "mysql2/promise"
import { count, numberOf, type PlantedBug } from "./planted.ts"

const lock = (sql: Connection) => sql.query("SELECT id FROM campaigns WHERE id = 1 FOR UPDATE")

const issueIfLeft = async (sql: Connection, number: number): Promise<string> => {
  const issued = await numberOf(sql, "SELECT COUNT(*) FROM campaign_issues")
  if (issued < 1) await sql.query("INSERT INTO campaign_issues VALUES (?)", [number])
  await sql.query("COMMIT")
  return issued < 1 ? "issued" : "sold out"
}

/** A plain SELECT before the lock fixes the transaction's snapshot, so after waiting for the lock it counts old rows. */
export const staleSnapshot = (): PlantedBug => ({
  name: "read of a stale snapshot",
  clients: 3,
  uses: ["sql"],
  schema: [
    "CREATE TABLE campaigns (id INT PRIMARY KEY) ENGINE=InnoDB",
    "INSERT INTO campaigns VALUES (1)",
    "CREATE TABLE campaign_issues (user INT PRIMARY KEY) ENGINE=InnoDB"
  ],
  setup: ({ sql }) => sql.query("DELETE FROM campaign_issues"),
  buggy: async ({ sql }, number) => {
    await sql.query("BEGIN")
    await numberOf(sql, "SELECT COUNT(*) FROM campaigns WHERE id = 1")
    await lock(sql)
    return issueIfLeft(sql, number)
  },
  fixed: async ({ sql }, number) => {
    await sql.query("BEGIN")
    await lock(sql)
    return issueIfLeft(sql, number)
  },
  check: async ({ sql }, results) => {
    const rows = await numberOf(sql, "SELECT COUNT(*) FROM campaign_issues")
    return rows === 1 && count(results, "issued") === 1 ? undefined : `${rows} of 1 were issued.`
  }
})
