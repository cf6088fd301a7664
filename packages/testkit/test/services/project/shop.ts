import { appendFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { createConnection } from "mysql2/promise"
import { createTest } from "../../../src/vitest/index.ts"

export const report = (line: string) =>
  appendFileSync(process.env["PROJECT_REPORT"] ?? "/dev/null", `${line}\n`)

export const test = createTest({
  sql: {
    migrate: async (url) => {
      report("migrated")
      const connection = await createConnection({ uri: url })
      await connection.query("CREATE TABLE stock (sku VARCHAR(20) PRIMARY KEY, left_over INT NOT NULL)")
      await connection.end()
    },
    migrations: fileURLToPath(new URL("shop.ts", import.meta.url))
  }
})
