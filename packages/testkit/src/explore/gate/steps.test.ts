import { describe, expect, test } from "vitest"
import { sqlSteps } from "./steps.ts"

const isStep = (text: string) =>
  sqlSteps().isStep({ name: "COM_QUERY", verb: "", text, args: [], executes: true })

describe("sqlSteps", () => {
  test.each([
    "BEGIN",
    "start transaction",
    "START TRANSACTION READ ONLY;",
    "SET SESSION lock_wait_timeout = 3",
    "SET @a = 1; ",
    "USE shop"
  ])("lets %s pass, which has no visible effect", (sql) => {
    expect(isStep(sql)).toBe(false)
  })

  test.each([
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    "BEGIN; UPDATE products SET stock = 0",
    "SET @a = 1;\nDELETE FROM products",
    "SET autocommit = 1",
    "SET SESSION sql_mode = '', autocommit=1",
    "SELECT 1",
    "COMMIT"
  ])("holds %s", (sql) => {
    expect(isStep(sql)).toBe(true)
  })
})
