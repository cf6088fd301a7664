import { contract } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("search and categories", () => {
  let shop: Shop
  useShop({}, async (opened) => {
    shop = opened
    const products = [
      ["TEA-1", "Green tea, loose", "Tea"],
      ["TEA-2", "Black tea, 100% Assam", "Tea"],
      ["MUG-1", "Blue mug for tea", "Kitchen"],
      ["MUG_2", "Café crème mug", "Kitchen"],
      ["KETTLE", "Kettle!", undefined],
      ["BRAND", "Acme™ Straße Gießkanne No①", "Café"],
      ["ÆON", "ＦＵＬＬ　ＷＩＤＴＨ ΟΔΟΣ", undefined]
    ] as const
    for (const [sku, name, category] of products) {
      await shop.ok(
        contract.admin.createProduct,
        { sku, name, priceMinor: 100, initialStock: 1, ...(category === undefined ? {} : { category }) },
        shop.admin
      )
    }
  })

  const found = async (text: string, category?: string) => {
    const { items } = await shop.ok(contract.products.search, {
      text,
      ...(category === undefined ? {} : { category })
    })
    return items.map(({ sku }) => sku)
  }

  test.each([
    ["tea", ["MUG-1", "TEA-1", "TEA-2"]],
    ["TEA", ["MUG-1", "TEA-1", "TEA-2"]],
    ["mug tea", ["MUG-1"]],
    ["tea  blue", ["MUG-1"]],
    ["cafe creme", ["MUG_2"]],
    ["kett", ["KETTLE"]],
    ["TEA-2", ["TEA-2"]],
    ["nothing like it", []],
    ["Acme™ Straße Gießkanne No①", ["BRAND"]],
    ["acmetm STRASSE giesskanne no1", ["BRAND"]],
    ["ＦＵＬＬ　ＷＩＤＴＨ", ["ÆON"]],
    ["full width", ["ÆON"]],
    ["οδος", ["ÆON"]],
    ["ac\u200Bme", ["BRAND"]],
    ["cafe\u0301", ["MUG_2"]]
  ])("%j finds %j", async (text, skus) => {
    expect(await found(text)).toEqual(skus)
  })

  // Guarantees: what SQL reads as a wildcard or a quote is a character like any other.
  test.each([
    ["%", ["TEA-2"]],
    ["_", ["MUG_2"]],
    ["!", ["KETTLE"]],
    ["100%", ["TEA-2"]],
    ["' OR 1=1 --", []],
    ["\\", []]
  ])("%j is taken literally", async (text, skus) => {
    expect(await found(text)).toEqual(skus)
  })

  test("a search within a category, and the pages of one", async () => {
    expect(await found("tea", "Kitchen")).toEqual(["MUG-1"])
    const first = await shop.ok(contract.products.page, { category: "Tea", limit: 1 })
    expect(first.items).toMatchObject([{ sku: "TEA-1", category: "Tea" }])
    const second = await shop.ok(contract.products.page, {
      category: "Tea",
      limit: 1,
      cursor: first.nextCursor!
    })
    expect(second.items.map(({ sku }) => sku)).toEqual(["TEA-2"])
    expect(second.nextCursor).toBeUndefined()
    expect((await shop.ok(contract.products.page, { category: "Nowhere" })).items).toEqual([])
  })

  // Guarantees: a category has one spelling, however it is typed.
  test("a category typed in combining characters is found", async () => {
    const { items } = await shop.ok(contract.products.page, { category: "Cafe\u0301" })
    expect(items.map(({ sku }) => sku)).toEqual(["BRAND"])
  })

  test("the categories that have products, with their numbers", async () => {
    expect(await shop.ok(contract.products.categories, {})).toEqual([
      { category: "Café", products: 1 },
      { category: "Kitchen", products: 2 },
      { category: "Tea", products: 2 }
    ])
  })

  test.each([
    ["", "text"],
    ["   ", "text"],
    ["a b c d e f g h i", "text"],
    // One character that stands for four words, and one for 18 characters.
    ["\u{fdfa}".repeat(3), "text"],
    ["\u{fdfa}".repeat(200), "text"],
    ["\u{33c2}".repeat(80), "text"],
    // Each of these letters is a word of its own once it is normalised.
    ["a\u00A8b\u00A8c\u00A8d\u00A8e\u00A8f\u00A8g\u00A8h\u00A8i", "text"],
    ["\u200B", "text"],
    ["\uD800", "text"],
    // Long to normalise, whatever is left of it.
    [`tea${" ".repeat(198)}`, "text"],
    ["x".repeat(10_240), "text"]
  ])("a search for %j is refused by name", async (text, path) => {
    const answer = await shop.call(contract.products.search, { text })
    expect(answer).toMatchObject({ status: 400, tag: "InvalidInput", error: { issues: [{ path }] } })
  })

  test.each(["x", "eyJza3UiOjF9", "ÿ", "a".repeat(513)])("the cursor %j is refused", async (cursor) => {
    const answer = await shop.call(contract.products.search, { text: "tea", cursor })
    expect(answer).toMatchObject({
      status: 400,
      tag: "InvalidInput",
      error: { issues: [{ path: "cursor" }] }
    })
  })
})
