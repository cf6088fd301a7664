import * as Schema from "effect/Schema"

/** How many items a page has by default and at most. */
export const PAGE_SIZE = { default: 20, maximum: 100 } as const

/** The input fields that select a page. A type with a name, so that editors keep the comments wherever it is used. */
export type PageInput = {
  /** The `nextCursor` of the page before; absent for the first page. */
  readonly cursor: Schema.optionalKey<Schema.String>
  /** How many items a page has: 20 unless it is given, 100 at most. */
  readonly limit: Schema.optionalKey<Schema.Int>
}

/** The input fields that select a page. `cursor` is the opaque `nextCursor` of the previous page. */
export const pageInput: PageInput = {
  cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(512))),
  limit: Schema.Int.check(
    Schema.isBetween(
      { minimum: 1, maximum: PAGE_SIZE.maximum },
      { message: `must be a whole number from 1 to ${PAGE_SIZE.maximum}` }
    )
  ).pipe(Schema.optionalKey)
}

/** The fields of one page. */
export type PageFields<Item extends Schema.Top> = {
  /** The items of this page. */
  readonly items: Schema.$Array<Item>
  /** Asks for the next page; absent on the last one. */
  readonly nextCursor: Schema.optionalKey<Schema.String>
}

/** A schema of one page. `nextCursor` is absent on the last page. */
export const pageOf = <Item extends Schema.Top>(item: Item): Schema.Struct<PageFields<Item>> =>
  Schema.Struct({ items: Schema.Array(item), nextCursor: Schema.optionalKey(Schema.String) })
