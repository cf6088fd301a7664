import { expect } from "vitest"
import { test } from "./shop.ts"

test("fails", async ({ sql }) => {
  await sql.query("INSERT INTO stock VALUES ('tea', 77)")
  expect("this").toBe("that")
})

test("comes after it and finds an empty table", async ({ sql }) => {
  expect(await sql.query("SELECT * FROM stock")).toEqual([])
})
