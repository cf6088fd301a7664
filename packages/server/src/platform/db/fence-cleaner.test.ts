import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2"
import { expect, test } from "vitest"
import { runJob } from "../../../test/jobs.ts"
import { Shop } from "../../../test/shop.ts"
import { fenceCleaner } from "./fence-cleaner.ts"

const DAY_MICROSECONDS = 86_400_000_000

test("a running server deletes old fences and keeps young ones, and later orders pass their fence anew", async () => {
  await using shop = await Shop.open()
  const user = await shop.newUser()
  await shop.newProduct("tea", 10)
  const order = () => shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, user)
  const fences = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT lock_key, token FROM lock_fences")
    return new Map(rows.map((row) => [String(row["lock_key"]), Number(row["token"])]))
  }
  await order()
  const [[key, token] = ["", 0], ...others] = await fences()
  expect(others).toEqual([])
  // The tests' retention is a week.
  await shop.sql.query("UPDATE lock_fences SET token = ?", [token - 8 * DAY_MICROSECONDS])
  await shop.sql.query("INSERT INTO lock_fences VALUES ('young', ?)", [token - 6 * DAY_MICROSECONDS])

  await shop.openBeside({ workers: true })
  await eventually(async () => expect([...(await fences()).keys()]).toEqual(["young"]))

  await order()
  expect([...(await fences()).keys()].toSorted()).toEqual([key, "young"].toSorted())
  expect((await fences()).get(key)).toBeGreaterThan(token)
  expect(await shop.stockOf("tea")).toBe(8)
  await shop.expectRightBooks()
})

test("old fences are deleted while a transaction holds one of them", async () => {
  await using shop = await Shop.open()
  await shop.sql.query("INSERT INTO lock_fences VALUES ?", [
    Array.from({ length: 100 }, (_, n) => [`fence ${n}`, 1])
  ])
  const fences = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT lock_key FROM lock_fences")
    return rows.map((row) => row["lock_key"] as string)
  }
  const holder = await shop.sql.getConnection()
  await holder.query("BEGIN")
  await holder.query("SELECT * FROM lock_fences WHERE lock_key = 'fence 50' FOR UPDATE")
  try {
    const startedAtMs = performance.now()
    await runJob(shop.servers[0], fenceCleaner)
    expect(performance.now() - startedAtMs).toBeLessThan(2_000)
    expect(await fences()).toEqual(["fence 50"])
  } finally {
    await holder.query("ROLLBACK")
    holder.release()
  }
  await runJob(shop.servers[0], fenceCleaner)
  expect(await fences()).toEqual([])
})

test("fences are kept for a day at least, whatever the retention", async () => {
  await using shop = await Shop.open({ settings: { retentionMs: 1_000 } })
  await shop.sql.query(
    `INSERT INTO lock_fences
     VALUES ('hours', (UNIX_TIMESTAMP() - 23 * 3600) * 1000000), ('days', (UNIX_TIMESTAMP() - 25 * 3600) * 1000000)`
  )
  await shop.openBeside({ workers: true })
  await eventually(async () => {
    const [rows] = await shop.sql.query("SELECT lock_key FROM lock_fences")
    expect(rows).toEqual([{ lock_key: "hours" }])
  })
})
