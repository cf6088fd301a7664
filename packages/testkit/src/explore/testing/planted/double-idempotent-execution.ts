import { count, numberOf, rowsOf, type PlantedBug } from "./planted.ts"

/** The key is written after the effect, so a repeated call in between applies the effect again. */
export const doubleIdempotentExecution = (): PlantedBug => ({
  name: "double idempotent execution",
  clients: 3,
  uses: ["sql"],
  schema: [
    "CREATE TABLE repeated_keys (k INT PRIMARY KEY) ENGINE=InnoDB",
    "CREATE TABLE repeated_accounts (id INT PRIMARY KEY, balance INT) ENGINE=InnoDB"
  ],
  setup: async ({ sql }) => {
    await sql.query("DELETE FROM repeated_keys")
    await sql.query("REPLACE INTO repeated_accounts VALUES (1, 0)")
  },
  buggy: async ({ sql }) => {
    if ((await numberOf(sql, "SELECT COUNT(*) FROM repeated_keys WHERE k = 1")) > 0) return "replayed"
    await sql.query("UPDATE repeated_accounts SET balance = balance + 10 WHERE id = 1")
    await sql.query("INSERT IGNORE INTO repeated_keys VALUES (1)")
    return "executed"
  },
  fixed: async ({ sql }) => {
    await sql.query("BEGIN")
    const isFirst = (await rowsOf(sql, "INSERT IGNORE INTO repeated_keys VALUES (1)")) === 1
    if (isFirst) await sql.query("UPDATE repeated_accounts SET balance = balance + 10 WHERE id = 1")
    await sql.query("COMMIT")
    return isFirst ? "executed" : "replayed"
  },
  check: async ({ sql }, results) => {
    const balance = await numberOf(sql, "SELECT balance FROM repeated_accounts WHERE id = 1")
    const executed = count(results, "executed")
    return balance === 10 && executed === 1 ? undefined : `Executed ${executed} times, balance ${balance}.`
  }
})
