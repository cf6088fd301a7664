import { expect, test } from "vitest"
import { runCommand } from "./testing/command.ts"

const figures = {
  cpuUs: expect.any(Number),
  cpuUsOf: { server: expect.any(Number), sql: expect.any(Number), redis: expect.any(Number) },
  perSecond: expect.any(Number),
  p50Ms: expect.any(Number),
  p99Ms: expect.any(Number),
  failures: 0
}

// Guarantees: the figures of `bench shop` are of answers that the shops had to give, and of books that are right.
test("the shop's benchmark counts the answers of every shop and proves the books", async () => {
  const args = ["shop", "--only", "order,issued,burst", "--rounds", "1", "--seconds", "0.3", "--json"]
  const { code, stderr, stdout } = await runCommand("bench", args, {}).ended
  expect(code, stderr).toBe(0)
  const result = JSON.parse(stdout) as Record<string, Record<string, unknown>>
  for (const name of ["order", "issued"]) {
    const compared = { ...figures, ratioToFloor: expect.any(Number), floor: figures, naive: figures }
    expect(result[name]).toEqual(compared)
    expect(result[name]!["perSecond"]).toBeGreaterThan(0)
  }
  const exactly = { asked: 1_500, coupons: 750, issued: 750, inDatabase: 750, failures: 0 }
  expect(result["burst"]).toMatchObject({ ...exactly, floor: exactly })
  expect(result["booksRight"]).toBe(true)
  expect(result["faultsInBooks"]).toMatchObject({ holdfast: [], floor: [] })
  // The naive shop gives a coupon to everybody who asks in time.
  expect(result["faultsInBooks"]!["naive"]).not.toEqual([])
})
