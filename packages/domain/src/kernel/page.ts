import * as Schema from "effect/Schema"

/** How many items a page has by default and at most. */
export const PAGE_SIZE = { default: 20, maximum: 100 } as const

/** The input fields that select a page. `cursor` is the opaque `nextCursor` of the previous page. */
export const pageInput = {
  cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(512))),
  limit: Schema.Int.check(
    Schema.isBetween(
      { minimum: 1, maximum: PAGE_SIZE.maximum },
      { message: `must be a whole number from 1 to ${PAGE_SIZE.maximum}` }
    )
  ).pipe(Schema.optionalKey)
}

/** A schema of one page. `nextCursor` is absent on the last page. */
export const pageOf = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({ items: Schema.Array(item), nextCursor: Schema.optionalKey(Schema.String) })
