import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * Money in integer minor units (pence, cents) of the shop's single currency, never a float. The limit is
 * `Number.MAX_SAFE_INTEGER`; {@link totalPriceOf} checks it.
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

/** Units of a product at a price. */
export interface PricedUnits {
  readonly unitPriceMinor: AmountMinor
  readonly quantity: number
}

/** Returns the price of all items, or the first item with which it is beyond {@link AmountMinor}. */
export const totalPriceOf = <Item extends PricedUnits>(
  items: Iterable<Item>
): Result.Result<AmountMinor, Item> => {
  let total = 0
  for (const item of items) {
    total += item.unitPriceMinor * item.quantity
    if (!Number.isSafeInteger(total)) return Result.fail(item)
  }
  return Result.succeed(AmountMinor.make(total))
}
