import { contract } from "@holdfast/domain"
import { load } from "@holdfast/testkit/load"
import { describe, expect, test } from "vitest"
import { manyUsers } from "../../../test/sale.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

const UNITS = 25
const BUYERS = 60

describe("buyers who come on schedule, however slow the shop is", () => {
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  useShop({ servers: 2 }, async (opened) => {
    shop = opened
    users = await manyUsers(shop, BUYERS)
    await shop.newProduct("kettle", UNITS)
  })

  // Guarantees: exactly min(N, demand) callers win also when nobody waits for the answers of those before them.
  test("exactly as many buy as there are units", async () => {
    let next = 0
    const report = await load({
      rate: BUYERS,
      durationMs: 1_000,
      arrivals: "poisson",
      fn: () =>
        shop.ok(contract.orders.create, { lines: [{ sku: "kettle", quantity: 1 }] }, users[next++ % BUYERS])
    })
    expect(report.calls).toMatchObject({ succeeded: UNITS, unfinished: 0 })
    expect(report.failures).toEqual({ OutOfStock: report.calls.intended - UNITS })
    expect(await shop.stockOf("kettle")).toBe(0)
  })
})
