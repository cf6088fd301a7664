import { startServices } from "@holdfast/testkit"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { createConnection } from "mysql2/promise"
import { expect, test } from "vitest"
import { audit } from "./shop/audit.ts"
import { runCommand } from "./testing/command.ts"

const migrate = (mysqlUrl: string) =>
  new Promise<void>((resolve, reject) => {
    const args = [
      "--conditions=holdfast-source",
      fileURLToPath(import.meta.resolve("@holdfast/server/cli")),
      "migrate"
    ]
    const env = {
      ...process.env,
      HOLDFAST_MYSQL_URL: mysqlUrl,
      HOLDFAST_REDIS_URL: "redis://127.0.0.1:1",
      HOLDFAST_SECRET: "x".repeat(40)
    }
    execFile(process.execPath, args, { env }, (error) => (error === null ? resolve() : reject(error)))
  })

// Guarantees: a shop that was filled, twice even, has as many orders as were asked for, of all fates, and right books.
test("fills a shop with orders whose books are right", { timeout: 120_000 }, async () => {
  await using services = await startServices()
  await services.sql.createDatabase("filled")
  const url = services.sql.url("filled")
  await migrate(url)
  for (const orders of ["300", "150"])
    expect(await runCommand("fill", ["--orders", orders], { HOLDFAST_MYSQL_URL: url }).ended).toMatchObject({
      code: 0
    })
  const { checks, ok } = await audit(url)
  expect(checks.filter((check) => !check.ok)).toEqual([])
  expect(ok).toBe(true)
  const sql = await createConnection(url)
  try {
    const [rows] = await sql.query(
      `SELECT COUNT(*) AS orders, (SELECT COUNT(*) FROM payments) AS payments, (SELECT COUNT(*) FROM refunds) AS refunds,
        (SELECT COUNT(*) > 0 FROM outbox WHERE sequence IS NOT NULL) AS announced FROM orders`
    )
    expect(rows).toEqual([{ orders: 450, payments: 405, refunds: 9, announced: 1 }])
  } finally {
    await sql.end()
  }
})
