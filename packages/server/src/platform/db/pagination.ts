import { InvalidInput } from "@holdfast/domain"
import { Effect, Result, Schema } from "effect"

/**
 * A cursor names the last entry of a page, so that the next page starts behind it whatever was added meanwhile.
 * It is opaque to callers: base64url of the entry's key as JSON. Everything in it is checked, for anybody can send one.
 */
export const makeCursor = <T, E>(key: Schema.Codec<T, E>) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(key))
  const encode = Schema.encodeSync(Schema.fromJsonString(key))
  return {
    encode: (value: T): string => Buffer.from(encode(value)).toString("base64url"),
    decode: (cursor: string): Effect.Effect<T, InvalidInput> => {
      const decoded = decode(Buffer.from(cursor, "base64url").toString("utf8"))
      return Result.isSuccess(decoded)
        ? Effect.succeed(decoded.success)
        : Effect.fail(
            new InvalidInput({ issues: [{ path: "cursor", message: "is not a cursor of this list" }] })
          )
    }
  }
}

/** Cuts what was read with one entry too many into a page; that entry only says that there is a next page. */
export const toPage = <T>(rows: ReadonlyArray<T>, limit: number, cursorOf: (last: T) => string) => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return rows.length > limit && last !== undefined ? { items, nextCursor: cursorOf(last) } : { items }
}
