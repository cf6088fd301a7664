import { Schema } from "effect"

/**
 * Money in integer minor units (pence, cents) of the shop's one currency. Never a float; `Number.MAX_SAFE_INTEGER`
 * is the limit, so a sum is checked where it is made ({@link sumMinor}).
 */
export const AmountMinor = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    { message: "must be a whole number of minor units, 0 or more" }
  )
).pipe(Schema.brand("AmountMinor"))
export type AmountMinor = typeof AmountMinor.Type

/** Points: one point pays one minor unit of money. A balance is never negative. */
export const Points = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    { message: "must be a whole number of points, 0 or more" }
  )
).pipe(Schema.brand("Points"))
export type Points = typeof Points.Type

/** A line's price: unit price times quantity. Throws `RangeError` past the safe integers: such an order is a bug. */
export const multiplyMinor = (unitPriceMinor: AmountMinor, quantity: number): AmountMinor =>
  safe(unitPriceMinor * quantity)

/** The sum of amounts. Throws `RangeError` past the safe integers. */
export const sumMinor = (amounts: Iterable<AmountMinor>): AmountMinor => {
  let total = 0
  for (const amount of amounts) total = safe(total + amount)
  return AmountMinor.make(total)
}

const safe = (value: number): AmountMinor => {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} minor units is beyond what is exact`)
  return AmountMinor.make(value)
}
