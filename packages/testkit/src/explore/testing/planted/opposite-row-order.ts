import type { Connection } from "mysql2/promise"
import type { PlantedBug } from "./planted.ts"

const take = async (sql: Connection, ids: ReadonlyArray<number>): Promise<string> => {
  await sql.query("BEGIN")
  for (const id of ids) await sql.query("UPDATE ordered SET stock = stock - 1 WHERE id = ?", [id])
  await sql.query("COMMIT")
  return "sold"
}

/** Rows locked in opposite orders: each waits for the other. */
export const oppositeRowOrder = (): PlantedBug => ({
  name: "opposite row order",
  clients: 3,
  uses: ["sql"],
  schema: ["CREATE TABLE ordered (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB"],
  setup: ({ sql }) => sql.query("REPLACE INTO ordered VALUES (1, 5), (2, 5)"),
  buggy: ({ sql }, number) => take(sql, number === 0 ? [2, 1] : [1, 2]),
  fixed: ({ sql }) => take(sql, [1, 2]),
  check: async (_admin, results) => {
    const failed = results.find(({ status }) => status === "rejected")
    return failed?.status === "rejected" ? String(failed.reason) : undefined
  }
})
