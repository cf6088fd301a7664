import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("the catalogue", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  const adjust = (sku: string, delta: number, idempotencyKey?: string) =>
    shop.ok(
      contract.admin.adjustStock,
      { sku, delta, reason: "a count" },
      { token: shop.admin.token, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
    )

  test("SKUs that differ in a capital are two products, and inner blanks are kept", async () => {
    for (const sku of ["85123A", "85123a", "BANK CHARGES", "gift_0001_20"]) await shop.newProduct(sku, 1, 255)
    expect(await shop.ok(contract.products.bySku, { sku: "85123a" })).toMatchObject({
      sku: "85123a",
      priceMinor: 255
    })
    expect(await shop.call(contract.products.bySku, { sku: "85123B" })).toMatchObject({
      status: 404,
      tag: "ProductNotFound"
    })
  })

  // Guarantees: a SKU has one spelling for contract, locks and database.
  test("a SKU in combining characters and other blanks is the same product, also within one order", async () => {
    await shop.newProduct("CAFE\u0301\u00A0NOIR", 5)
    for (const sku of ["CAF\u00C9 NOIR", "CAFE\u0301 NOIR", "CAF\u00C9\u3000NOIR"])
      expect(await shop.ok(contract.products.bySku, { sku })).toMatchObject({ sku: "CAF\u00C9 NOIR" })
    const again = { sku: "CAF\u00C9 NOIR", name: "again", priceMinor: 1, initialStock: 1 }
    expect(await shop.call(contract.admin.createProduct, again, shop.admin)).toMatchObject({
      tag: "SkuTaken"
    })
    const lines = ["CAFE\u0301 NOIR", "CAF\u00C9 NOIR"].map((sku) => ({ sku, quantity: 1 }))
    const order = await shop.ok(contract.orders.create, { lines }, shop.admin)
    expect(order.items).toMatchObject([{ sku: "CAF\u00C9 NOIR", quantity: 2 }])
    await shop.expectRightBooks()
  })

  test.each(["TEA\u200B", "TEA\uD800", "TEA\u202E", "TEA ", "TEA\0"])(
    "the SKU %j is refused by name",
    async (sku) => {
      expect(await shop.call(contract.products.bySku, { sku })).toMatchObject({
        status: 400,
        error: { issues: [{ path: "sku" }] }
      })
    }
  )

  test("pages follow each other without gaps or repeats while products are added", async () => {
    const skus = Array.from({ length: 25 }, (_, index) => `page-${String(index * 2).padStart(3, "0")}`)
    for (const sku of skus) await shop.newProduct(sku, 1)
    const seen: Array<string> = []
    let cursor: string | undefined
    do {
      const page = await shop.ok(contract.products.page, {
        limit: 4,
        ...(cursor === undefined ? {} : { cursor })
      })
      seen.push(...page.items.map((item) => item.sku))
      await shop.newProduct(`aaa-${seen.length}`, 1) // sorts before everything seen: it must not shift the pages
      cursor = page.nextCursor
    } while (cursor !== undefined)
    expect(seen.filter((sku) => sku.startsWith("page-"))).toEqual(skus)
    expect(new Set(seen).size).toBe(seen.length)
  })

  test.each(["rubbish", "e30", "x".repeat(500), Buffer.from('{"sku":"a,b"}').toString("base64url")])(
    "the cursor %s is refused by name",
    async (cursor) => {
      expect(await shop.call(contract.products.page, { cursor })).toMatchObject({
        tag: "InvalidInput",
        error: { issues: [{ path: "cursor" }] }
      })
    }
  )

  // Guarantees: adjustments never lose each other, and together never take the stock below 0.
  test("30 adjustments at once: -1 from a stock of 10 succeeds ten times", async () => {
    const sku = await shop.newProduct("counted", 10)
    const result = await race(30, () => adjust(sku, -1))
    expectExactly(result, 10)
    expectExactly(result, 20, "OutOfStock")
    expect(await shop.stockOf(sku)).toBe(0)
  })

  // Guarantees: one SKU is one product, whoever creates it first.
  test("10 creations of one SKU: one product, 9 SkuTaken", async () => {
    expectExactly(await race(10, () => shop.newProduct("unique", 7)), 1)
    expect(await shop.stockOf("unique")).toBe(7)
  })

  test("an adjustment that is sent again counts once", async () => {
    const sku = await shop.newProduct("repeated", 1)
    await Promise.all(Array.from({ length: 5 }, () => adjust(sku, 3, "repeated-adjustment")))
    expect(await shop.stockOf(sku)).toBe(4)
  })

  test("only an administrator creates and adjusts", async () => {
    const user = await shop.newUser()
    const product = { sku: "forbidden", name: "x", priceMinor: 1, initialStock: 1 }
    expect(await shop.call(contract.admin.createProduct, product, { token: user.token })).toMatchObject({
      tag: "Forbidden"
    })
    const adjustment = { sku: "unique", delta: 1, reason: "x" }
    expect(await shop.call(contract.admin.adjustStock, adjustment, { token: user.token })).toMatchObject({
      tag: "Forbidden"
    })
  })

  test.each([
    [{ sku: "a,b", name: "x", priceMinor: 1, initialStock: 1 }, "sku"],
    [{ sku: " a", name: "x", priceMinor: 1, initialStock: 1 }, "sku"],
    [{ sku: "", name: "x", priceMinor: 1, initialStock: 1 }, "sku"],
    [{ sku: "x".repeat(65), name: "x", priceMinor: 1, initialStock: 1 }, "sku"],
    [{ sku: "bad", name: " ", priceMinor: 1, initialStock: 1 }, "name"],
    [{ sku: "bad", name: "x", priceMinor: 1.5, initialStock: 1 }, "priceMinor"],
    [{ sku: "bad", name: "x", priceMinor: -1, initialStock: 1 }, "priceMinor"],
    [{ sku: "bad", name: "x", priceMinor: 1, initialStock: -1 }, "initialStock"],
    [{ sku: "bad", name: "x", priceMinor: 1, initialStock: 1e10 }, "initialStock"]
  ])("bad input %j names %s", async (input, path) => {
    expect(await shop.call(contract.admin.createProduct, input, shop.admin)).toMatchObject({
      tag: "InvalidInput",
      error: { issues: [{ path }] }
    })
  })

  test("an adjustment of 0, of an unknown SKU and past the limit is refused", async () => {
    await expect(adjust("unique", 0)).rejects.toMatchObject({ _tag: "InvalidInput" })
    await expect(adjust("nothing", 1)).rejects.toMatchObject({ _tag: "ProductNotFound" })
    await expect(adjust("unique", 1_000_000_000)).rejects.toMatchObject({ _tag: "StockLimitExceeded" })
    expect(await shop.stockOf("unique")).toBe(7)
  })
})
