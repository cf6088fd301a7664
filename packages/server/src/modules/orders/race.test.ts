import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("orders race for stock", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  // Guarantees: of many buyers of a limited product exactly as many win as there are units, never one more or less.
  test("50 units, 200 buyers at once: 50 orders, 150 OutOfStock, 0 left", async () => {
    const users = await shop.newUsers(200)
    const sku = await shop.newProduct("limited", 50)
    const result = await race(200, (caller) =>
      shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, { token: users[caller]!.token })
    )
    expectExactly(result, 50)
    expectExactly(result, 150, "OutOfStock")
    expect(await shop.stockOf(sku)).toBe(0)
  })

  // Guarantees: baskets that name the same products in other orders never end in a deadlock that a caller sees.
  test("baskets [A,B,C] in every order by 32 callers, 6 orders each: all are placed", async () => {
    const users = await shop.newUsers(32)
    const skus = [
      await shop.newProduct("A", 1_000),
      await shop.newProduct("B", 1_000),
      await shop.newProduct("C", 1_000)
    ]
    const result = await race(32, async (caller) => {
      for (let n = 0; n < 6; n++) {
        const rotated = skus.map((_, index) => skus[(index + caller + n) % 3]!)
        const lines = (caller % 2 === 0 ? rotated : rotated.toReversed()).map((sku) => ({ sku, quantity: 1 }))
        await shop.ok(contract.orders.create, { lines }, { token: users[caller]!.token })
      }
    })
    expectExactly(result, 32)
    for (const sku of skus) expect(await shop.stockOf(sku)).toBe(1_000 - 32 * 6)
  })

  // Guarantees: an order that is sent again is placed once, also while the first is still under way.
  test("the same order 20 times at once with one key: one order, 20 equal answers", async () => {
    const user = await shop.newUser()
    const sku = await shop.newProduct("once", 5)
    const result = await race(20, () =>
      shop.ok(
        contract.orders.create,
        { lines: [{ sku, quantity: 2 }] },
        { token: user.token, idempotencyKey: "only-once" }
      )
    )
    expectExactly(result, 20)
    expect(new Set(result.fulfilled.map(({ value }) => JSON.stringify(value))).size).toBe(1)
    expect(await shop.stockOf(sku)).toBe(3)
  })
})
