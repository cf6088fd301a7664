import { expect } from "vitest"
import { report, test } from "./shop.ts"

test("has a database of its own on the servers of the run", async ({ sql, redis }) => {
  report(`server ${sql.host}:${sql.port} ${redis.host}:${redis.port}`)
  report(`database ${sql.database}`)
  await sql.query("INSERT INTO stock VALUES ('tea', 3)")
  expect(await sql.query("SELECT left_over FROM stock")).toEqual([{ left_over: 3 }])
})
