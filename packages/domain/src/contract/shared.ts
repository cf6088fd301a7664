import { Schema } from "effect"

/** How many entries a page has when nobody says, and at most. */
export const PAGE_SIZE = { default: 20, maximum: 100 } as const

/** The part of an input that asks for a page: `cursor` is the `nextCursor` of the page before, opaque to callers. */
export const pageInput = {
  cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(512))),
  limit: Schema.Int.check(
    Schema.isBetween(
      { minimum: 1, maximum: PAGE_SIZE.maximum },
      { message: `must be a whole number from 1 to ${PAGE_SIZE.maximum}` }
    )
  ).pipe(Schema.optionalKey)
}

/** A page: its items, and where the next one starts; no `nextCursor` on the last. */
export const pageOf = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({ items: Schema.Array(item), nextCursor: Schema.optionalKey(Schema.String) })

/** A text without control characters that is not blank; outer blanks are not allowed, so that none hide. */
export const plainText = (maximumLength: number) =>
  Schema.String.check(
    Schema.isMaxLength(maximumLength, { message: `must be at most ${maximumLength} characters` }),
    Schema.isPattern(/^\S(?:[^\p{Cc}]*\S)?$/u, { message: "must be printable text without outer blanks" })
  )

/** A count of units in stock. */
export const MAXIMUM_STOCK = 1_000_000_000
export const StockCount = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: MAXIMUM_STOCK },
    { message: `must be a whole number from 0 to ${MAXIMUM_STOCK}` }
  )
)
