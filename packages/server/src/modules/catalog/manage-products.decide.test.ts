import { AmountMinor, MAXIMUM_STOCK, type Product, UserId } from "@holdfast/domain"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  accepted,
  expectDecidedOneByOne,
  expectFairDecision,
  NOW,
  sku,
  withEntry
} from "../../../test/decisions.ts"
import { adjustStocks } from "./manage-products.ts"

const stocks = fc
  .tuple(fc.nat(20), fc.constantFrom(MAXIMUM_STOCK, MAXIMUM_STOCK - 5, MAXIMUM_STOCK + 20))
  .map((all) => new Map(all.map((stock, n): [Product["sku"], Product] => [sku(n), productOf(n, stock)])))
const productOf = (n: number, stock: number): Product => ({
  sku: sku(n),
  name: "goods",
  priceMinor: AmountMinor.make(1),
  stock,
  createdAt: NOW
})
const adjustments = fc.array(
  fc.record({
    sku: fc.nat(2).map(sku),
    delta: fc.integer({ min: -15, max: 15 }),
    reason: fc.constant("count"),
    actorId: fc.constant(UserId.make("01900000-0000-7000-8000-000000000000"))
  }),
  { maxLength: 12 }
)

describe("adjusting stocks", () => {
  test("is fair: later adjustments change no earlier outcome, and a refused one changes nothing", () => {
    fc.assert(
      fc.property(stocks, adjustments, (products, some) =>
        expectFairDecision(some, (items) => adjustStocks(products, items))
      )
    )
  })

  test("decides a list as it decides one adjustment after the other", () => {
    fc.assert(
      fc.property(stocks, adjustments, (products, some) =>
        expectDecidedOneByOne(products, some, adjustStocks, (current, { output }) =>
          withEntry(current, output.sku, output)
        )
      )
    )
  })

  test("takes no stock below 0, adds to none beyond the maximum, and adds up", () => {
    fc.assert(
      fc.property(stocks, adjustments, (products, some) => {
        const running = new Map([...products].map(([name, { stock }]) => [name, stock]))
        for (const { delta, output } of accepted(adjustStocks(products, some))) {
          running.set(output.sku, running.get(output.sku)! + delta)
          expect(output.stock).toBe(running.get(output.sku))
          expect(output.stock).toBeGreaterThanOrEqual(0)
          if (delta > 0) expect(output.stock).toBeLessThanOrEqual(MAXIMUM_STOCK)
        }
      })
    )
  })
})
