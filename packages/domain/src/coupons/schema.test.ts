import { describe, expect, test } from "vitest"
import { AmountMinor } from "../kernel/money.ts"
import { type Discount, discountOf, maximumDiscountOf, minimumPriceOf } from "./schema.ts"

const amount = (value: number) => AmountMinor.make(value)
const percent = (value: number): Discount => ({ kind: "percent", percent: value })

describe("the discount of a user coupon", () => {
  test.each([
    [10, 999, 99],
    [50, 999, 499],
    [1, 99, 0],
    [1, 100, 1],
    [50, Number.MAX_SAFE_INTEGER, 4_503_599_627_370_495],
    [49, Number.MAX_SAFE_INTEGER, 4_413_527_634_823_085]
  ])("%i %% of %i is %i: rounded down and exact up to the largest amount", (value, price, off) => {
    expect(discountOf(percent(value), amount(price))).toBe(off)
  })

  test("is the fixed amount at any price", () => {
    expect(discountOf({ kind: "fixed", amountMinor: amount(500) }, amount(1))).toBe(500)
  })

  test("is never more than half of any price when it is a percentage", () => {
    for (let price = 0; price < 500; price += 1)
      for (const value of [1, 33, 49, 50])
        expect(discountOf(percent(value), amount(price))).toBeLessThanOrEqual(
          maximumDiscountOf(amount(price))
        )
  })

  test("is 1 at the minimum price and 0 below it", () => {
    for (let value = 1; value <= 50; value += 1) {
      const minimum = minimumPriceOf({ discount: percent(value), minimumOrderMinor: amount(0) })
      expect(discountOf(percent(value), minimum)).toBe(1)
      expect(discountOf(percent(value), amount(minimum - 1))).toBe(0)
    }
  })
})
