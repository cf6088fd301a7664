import { Schema } from "effect"

/**
 * Money in integer minor units (pence, cents) of the shop's single currency, never a float. The limit is
 * `Number.MAX_SAFE_INTEGER`; {@link sumMinor} and {@link multiplyMinor} check it.
 */
export const AmountMinor = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    { message: "must be a whole number of minor units, 0 or more" }
  )
).pipe(Schema.brand("AmountMinor"))
export type AmountMinor = typeof AmountMinor.Type

/** Points: one point pays one minor unit. A balance is never negative. */
export const Points = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    { message: "must be a whole number of points, 0 or more" }
  )
).pipe(Schema.brand("Points"))
export type Points = typeof Points.Type

/** Returns the price of an item: unit price times quantity. Throws `RangeError` beyond the safe integers. */
export const multiplyMinor = (unitPriceMinor: AmountMinor, quantity: number): AmountMinor =>
  safe(unitPriceMinor * quantity)

/** Returns the sum of the amounts. Throws `RangeError` beyond the safe integers. */
export const sumMinor = (amounts: Iterable<AmountMinor>): AmountMinor => {
  let total = 0
  for (const amount of amounts) total = safe(total + amount)
  return AmountMinor.make(total)
}

const safe = (value: number): AmountMinor => {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} minor units is beyond what is exact`)
  return AmountMinor.make(value)
}
