import { Schema } from "effect"
import { describe, expect, test } from "vitest"
import { Moment } from "./moment.ts"

const decode = (text: unknown) => Schema.decodeUnknownResult(Moment)(text)

describe("a moment on the wire", () => {
  test.each([
    ["2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000Z"],
    ["2026-01-31t09:30:00z", "2026-01-31T09:30:00.000Z"],
    ["2026-01-31T09:30:00.5+09:00", "2026-01-31T00:30:00.500Z"],
    ["2026-01-31T23:30:00-23:59", "2026-02-01T23:29:00.000Z"],
    ["2026-01-31T09:30:00-00:00", "2026-01-31T09:30:00.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
    ["2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"],
    // Digits beyond the millisecond are cut off, never rounded up.
    ["2026-01-31T09:30:00.123999999Z", "2026-01-31T09:30:00.123Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"]
  ])("%s is %s", (text, iso) => {
    const decoded = Schema.decodeUnknownSync(Moment)(text)
    expect(decoded.toISOString()).toBe(iso)
    expect(Schema.encodeSync(Moment)(decoded)).toBe(iso)
  })

  // Guarantees: what is not RFC 3339 with an offset is refused, never guessed at.
  test.each([
    "coupon 7",
    "12",
    "",
    "2026",
    "2026-01-31",
    "2026-01-31T09:30Z",
    "2026-01-31T09:30:00",
    "2026-01-31 09:30:00Z",
    "2026-01-31T09:30:00 Z",
    " 2026-01-31T09:30:00Z",
    "2026-01-31T09:30:00Z\n",
    "2026-01-31T09:30:00.Z",
    "2026-01-31T09:30:00.1234567890Z",
    "2026-01-31T09:30:00,5Z",
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T23:60:00Z",
    "2016-12-31T23:59:60Z",
    "2026-01-31T09:30:00+24:00",
    "2026-01-31T09:30:00+09:60",
    "2026-01-31T09:30:00+0900",
    "2026-01-31T09:30:00+09",
    "+002026-01-31T09:30:00Z",
    "-000001-01-01T00:00:00Z",
    "20260131T093000Z",
    "2026-W05-6T09:30:00Z",
    "Sat, 31 Jan 2026 09:30:00 GMT",
    "٢٠٢٦-01-31T09:30:00Z",
    // In UTC these are in the years -1 and 10000.
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    1_769_850_000_000,
    null,
    ["2026-01-31T09:30:00Z"]
  ])("%j is refused", (text) => {
    expect(decode(text)).toMatchObject({ _tag: "Failure" })
    expect(() => Schema.decodeUnknownSync(Moment)(text)).toThrow(/RFC 3339/)
  })
})
