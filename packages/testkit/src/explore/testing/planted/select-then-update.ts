import { numberOf, rowsOf, soldAndLeft, type PlantedBug } from "./planted.ts"

/** A plain SELECT takes no lock, so the UPDATE writes an outdated value. */
export const selectThenUpdate = (): PlantedBug => ({
  name: "SELECT then UPDATE",
  clients: 3,
  uses: ["sql"],
  schema: ["CREATE TABLE selected (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB"],
  setup: ({ sql }) => sql.query("REPLACE INTO selected VALUES (1, 2)"),
  buggy: async ({ sql }) => {
    await sql.query("BEGIN")
    const left = await numberOf(sql, "SELECT stock FROM selected WHERE id = 1")
    if (left > 0) await sql.query("UPDATE selected SET stock = ? WHERE id = 1", [left - 1])
    await sql.query("COMMIT")
    return left > 0 ? "sold" : "sold out"
  },
  fixed: async ({ sql }) => {
    await sql.query("BEGIN")
    const taken = await rowsOf(sql, "UPDATE selected SET stock = stock - 1 WHERE id = 1 AND stock > 0")
    await sql.query("COMMIT")
    return taken === 1 ? "sold" : "sold out"
  },
  check: async ({ sql }, results) =>
    soldAndLeft(results, await numberOf(sql, "SELECT stock FROM selected WHERE id = 1"), 2)
})
