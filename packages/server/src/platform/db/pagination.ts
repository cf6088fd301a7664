import { InvalidInput, PAGE_SIZE } from "@holdfast/domain"
import { Effect, Result, Schema } from "effect"

interface PageInput {
  readonly cursor?: string
  readonly limit?: number
}

/**
 * Reads pages of a list that is ordered by a key. A cursor is the key of a page's last row as base64url JSON, so the
 * next page starts behind that row whatever was inserted meanwhile. Cursors come from callers and are validated.
 * Fails with `InvalidInput` when a cursor is not one of this list.
 */
export const makePages = <Key, Encoded>(key: Schema.Codec<Key, Encoded>) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(key))
  const encode = Schema.encodeSync(Schema.fromJsonString(key))

  const keyBehind = (cursor: string | undefined): Result.Result<Key | undefined, InvalidInput> =>
    cursor === undefined
      ? Result.succeed(undefined)
      : Result.mapError(
          decode(Buffer.from(cursor, "base64url").toString("utf8")),
          () => new InvalidInput({ issues: [{ path: "cursor", message: "is not a cursor of this list" }] })
        )

  /** A page of up to `limit` rows. The row beyond the page only tells that there is a next page. */
  const of = <Row>(rows: ReadonlyArray<Row>, limit: number, keyOf: (row: Row) => Key) => {
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    if (rows.length <= limit || last === undefined) return { items }
    return { items, nextCursor: Buffer.from(encode(keyOf(last))).toString("base64url") }
  }

  /**
   * @param list reads up to `limit` rows behind the key
   * @param keyOf the key of a row
   */
  const read = <Row, E, R>(
    input: PageInput,
    list: (behind: Key | undefined, limit: number) => Effect.Effect<ReadonlyArray<Row>, E, R>,
    keyOf: (row: Row) => Key
  ) =>
    Effect.gen(function* () {
      const behind = yield* Effect.fromResult(keyBehind(input.cursor))
      const limit = input.limit ?? PAGE_SIZE.default
      return of(yield* list(behind, limit + 1), limit, keyOf)
    })
  return Object.assign(read, { of })
}
