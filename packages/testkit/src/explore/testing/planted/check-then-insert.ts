import { count, numberOf, rowsOf, type PlantedBug } from "./planted.ts"

/** Checking that a row is absent does not stop others from inserting it. */
export const checkThenInsert = (): PlantedBug => ({
  name: "check then insert",
  clients: 3,
  uses: ["sql"],
  schema: [
    "CREATE TABLE checked (id INT AUTO_INCREMENT PRIMARY KEY, user INT) ENGINE=InnoDB",
    "CREATE TABLE unique_checked (user INT PRIMARY KEY) ENGINE=InnoDB"
  ],
  setup: async ({ sql }) => {
    await sql.query("DELETE FROM checked")
    await sql.query("DELETE FROM unique_checked")
  },
  buggy: async ({ sql }) => {
    const issued = await numberOf(sql, "SELECT COUNT(*) FROM checked WHERE user = 7")
    if (issued > 0) return "duplicate"
    await sql.query("INSERT INTO checked (user) VALUES (7)")
    return "issued"
  },
  fixed: async ({ sql }) => {
    const inserted = await rowsOf(sql, "INSERT IGNORE INTO unique_checked VALUES (7)")
    return inserted === 1 ? "issued" : "duplicate"
  },
  check: async ({ sql }, results) => {
    const rows = await numberOf(
      sql,
      "SELECT (SELECT COUNT(*) FROM checked) + (SELECT COUNT(*) FROM unique_checked)"
    )
    const issued = count(results, "issued")
    return rows === 1 && issued === 1 ? undefined : `${issued} times issued, ${rows} rows.`
  }
})
