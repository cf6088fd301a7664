import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Shop } from "../../testing/shop.ts"

describe("orders race for stock", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2 })
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

  // Guarantees: of many buyers of a limited product exactly as many win as there are units, never one more or less.
  test("50 units, 200 buyers at once: 50 orders, 150 OutOfStock, 0 left", async () => {
    const users = await shop.newUsers(20)
    const sku = await shop.newProduct("limited", 50)
    const result = await race(200, (caller) =>
      shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, { token: users[caller % 20]!.token })
    )
    expectExactly(result, 50)
    expectExactly(result, 150, "OutOfStock")
    expect(await shop.stockOf(sku)).toBe(0)
  })
})
