import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import { runJob } from "../../../test/jobs.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { orderExpiry } from "./expiry-job.ts"

describe("orders that cannot be expired", () => {
  let shop: Shop
  useShop({}, async (opened) => {
    shop = opened
    await shop.newProduct("tea", 100_000)
    await shop.newProduct("held", 100_000)
  })

  const place = async (user: TestUser, sku: string, quantity = 1) => {
    const { id } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity }] }, user)
    return bytesOf(id)
  }
  const overdue = (orders: ReadonlyArray<Buffer>, seconds: number) =>
    shop.sql.query("UPDATE orders SET expires_at = UTC_TIMESTAMP(3) - INTERVAL ? SECOND WHERE id IN (?)", [
      seconds,
      orders
    ])
  const statusOf = async (order: Buffer) => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT status FROM orders WHERE id = ?", [
      order
    ])
    return rows[0]!["status"] as string
  }
  const expire = () => runJob(shop.servers[0], orderExpiry)
  const setAside = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT reason FROM set_aside")
    return rows.map((row) => row["reason"] as string)
  }

  test("keep nobody else's order from expiring, however many there are", async () => {
    const user = await shop.newUser()
    const broken: Array<Buffer> = []
    for (let n = 1; n <= 120; n += 1) broken.push(await place(user, "tea", n))
    await shop.sql.query("INSERT INTO stock_ledger (sku, delta, kind, order_id) VALUES ?", [
      broken.map((id) => ["tea", 0, "release", id])
    ])
    await overdue(broken, 60)
    const healthy = await place(await shop.newUser(), "tea")
    await overdue([healthy], 1)
    for (let run = 0; run < 2; run += 1) await expire()
    expect(await statusOf(healthy)).toBe("CANCELLED")
    expect(new Set(await setAside())).toEqual(new Set([expect.stringContaining("stock_ledger_once")]))

    await shop.sql.query("DELETE FROM stock_ledger WHERE kind = 'release' AND order_id IN (?)", [broken])
    await eventually(async () => {
      await shop.sql.query("UPDATE set_aside SET next_attempt_at = UTC_TIMESTAMP(3)")
      await expire()
      expect(await setAside()).toEqual([])
    })
    expect(await Promise.all(broken.map(statusOf))).toEqual(broken.map(() => "CANCELLED"))
  })

  test("by another job are expired all the same", async () => {
    const order = await place(await shop.newUser(), "tea")
    await overdue([order], 60)
    await shop.sql.query(
      "INSERT INTO set_aside (job, item, reason, next_attempt_at) VALUES ('another job', ?, '', UTC_TIMESTAMP(3) + INTERVAL 1 HOUR)",
      [order]
    )
    await expire()
    expect(await statusOf(order)).toBe("CANCELLED")
    await shop.sql.query("DELETE FROM set_aside")
  })

  test("and are paid or gone meanwhile are set aside no more", async () => {
    const user = await shop.newUser(1_000_000)
    const [paid, gone] = [await place(user, "tea"), bytesOf("01890000-0000-7000-8000-000000000001")]
    await shop.sql.query("UPDATE orders SET status = 'PAID' WHERE id = ?", [paid])
    await shop.sql.query("INSERT INTO set_aside (job, item, reason) VALUES ?", [
      [paid, gone].map((id) => [orderExpiry.name, id, "held"])
    ])
    await expire()
    expect(await setAside()).toEqual([])
    await shop.sql.query("UPDATE orders SET status = 'PENDING' WHERE id = ?", [paid])
  })

  test("for now, because another transaction holds their product, are left for later", async () => {
    const [waiting, free] = [
      await place(await shop.newUser(), "held"),
      await place(await shop.newUser(), "tea")
    ]
    await overdue([waiting], 60)
    await overdue([free], 1)
    const holder = await shop.sql.getConnection()
    await holder.query("BEGIN")
    await holder.query("SELECT * FROM products WHERE sku = 'held' FOR UPDATE")
    try {
      await expire()
      expect(await Promise.all([waiting, free].map(statusOf))).toEqual(["PENDING", "CANCELLED"])
      expect(await setAside()).toEqual([expect.stringContaining("Timeout")])
    } finally {
      await holder.query("ROLLBACK")
      holder.release()
    }
    await eventually(async () => {
      await expire()
      expect(await statusOf(waiting)).toBe("CANCELLED")
    })
  })
})
