import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import { runJob } from "../../../test/jobs.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { bytesOf } from "../../platform/db/ids.ts"
import { orderExpiry } from "./expiry-job.ts"

describe("unpaid orders", () => {
  let shop: Shop
  let skus: ReadonlyArray<string>
  useShop({ servers: 2, settings: { maximumUnpaid: { orders: 5, units: 40 } } }, async (opened) => {
    shop = opened
    skus = await Promise.all(Array.from({ length: 30 }, (_, n) => shop.newProduct(`goods ${n}`, 1_000)))
  })

  const order = (user: TestUser, quantity = 1, sku = skus[0]!) =>
    shop.ok(contract.orders.create, { lines: [{ sku, quantity }] }, { token: user.token })
  const refused = (limit: string, unpaid: number) => ({
    status: 409,
    tag: "TooManyUnpaidOrders",
    error: { limit, unpaid }
  })
  const tryOrder = (user: TestUser, quantity = 1) =>
    shop.call(contract.orders.create, { lines: [{ sku: skus[0]!, quantity }] }, user)

  // Guarantees: one user has exactly as many unpaid orders as the bound says, never one more, on any number of processes.
  test("30 orders of one user for as many products race on two servers: five are placed", async () => {
    const hoarder = await shop.newUser()
    const result = await race(30, (caller) => order(hoarder, 1, skus[caller]))
    expectExactly(result, 5)
    expectExactly(result, 25, "TooManyUnpaidOrders")
  })

  // Guarantees: the units of one user's unpaid orders never exceed the bound, and are not refused below it.
  test("20 orders of 12 units race on two servers: 36 units are held, and 4 more fit", async () => {
    const hoarder = await shop.newUser()
    const result = await race(20, (caller) => order(hoarder, 12, skus[caller]))
    expectExactly(result, 3)
    expectExactly(result, 17, "TooManyUnpaidOrders")
    expect(await tryOrder(hoarder, 5)).toMatchObject(refused("units", 36))
    await order(hoarder, 4)
  })

  test("an order that is paid, cancelled or expired makes room; others are not concerned", async () => {
    const buyer = await shop.newUser(1_000)
    const placed = []
    for (let n = 0; n < 5; n += 1) placed.push(await order(buyer))
    expect(await tryOrder(buyer)).toMatchObject(refused("orders", 5))
    await order(await shop.newUser())
    await shop.ok(contract.payments.process, { orderId: placed[0]!.id }, buyer)
    await order(buyer)
    expect(await tryOrder(buyer)).toMatchObject(refused("orders", 5))
    await shop.ok(contract.orders.cancel, { orderId: placed[1]!.id }, buyer)
    await order(buyer)
    expect(await tryOrder(buyer)).toMatchObject(refused("orders", 5))
    await shop.sql.query("UPDATE orders SET expires_at = '2020-01-01' WHERE id = ?", [bytesOf(placed[2]!.id)])
    await runJob(shop.servers[0], orderExpiry)
    await order(buyer)
    expect(await tryOrder(buyer)).toMatchObject(refused("orders", 5))
  })

  // Guarantees: payments and orders of one user at the same moment end without an error that a caller sees.
  test("a user who orders and pays at once, again and again, is served", async () => {
    const buyer = await shop.newUser(100_000)
    const result = await race(4, async (caller) => {
      for (let n = 0; n < 8; n += 1) {
        const { id: orderId } = await order(buyer, 1, skus[caller * 5 + (n % 5)])
        await shop.ok(contract.payments.process, { orderId }, buyer)
      }
    })
    expectExactly(result, 4)
  })

  test("the unpaid orders are read from one index, without the orders", async () => {
    // The form of a plan differs between MySQL and MariaDB, and its names do, too.
    const [[plan]] = await shop.sql.query<Array<RowDataPacket>>(
      `EXPLAIN FORMAT = JSON SELECT user_id, COUNT(*), SUM(units) FROM orders FORCE INDEX (orders_unpaid)
       WHERE user_id IN (?, ?) AND status = 'PENDING' GROUP BY user_id`,
      [bytesOf(shop.admin.id), bytesOf((await shop.newUser()).id)]
    )
    const text = JSON.stringify(plan).replaceAll("\\", "")
    expect(text).toContain("orders_unpaid")
    expect(text).toMatch(/"(using_index|covering)": true/)
  })
})
