import { Redacted, Schema } from "effect"
import { expect, test } from "vitest"
import { countedText } from "../../../test/counted-text.ts"
import { makeEntryTexts } from "./entry.ts"

const entryOf = (value: string) => ({ version: "1", freshUntilMs: 1, validUntilMs: 1, value })

const makeTexts = () => makeEntryTexts(Redacted.make("a secret"))

test("a text that a process has written or read is not decoded again; another one under its key is", () => {
  const { decoded, schema } = countedText()
  const [writer, reader] = [makeTexts(), makeTexts()]
  const first = writer.write(schema, "key", entryOf("first"))
  const second = writer.write(schema, "key", entryOf("second"))
  expect(writer.read(schema, "key", second)?.value).toBe("second")
  expect(decoded()).toBe(0)
  for (const text of [first, first, second]) expect(reader.read(schema, "key", text)).toBeDefined()
  expect(decoded()).toBe(2)
  expect(reader.read(Schema.Int, "key", second)).toBeUndefined()
})

// Guarantees: what a process keeps decoded has 16 million characters at most.
test("the entries used longest ago are decoded anew when there are too many", () => {
  const { decoded, schema } = countedText()
  const [writer, reader] = [makeTexts(), makeTexts()]
  const long = "x".repeat(900_000)
  const texts = Array.from({ length: 18 }, (_, n) => writer.write(schema, `key ${n}`, entryOf(long)))
  const read = (n: number) => {
    const before = decoded()
    expect(reader.read(schema, `key ${n}`, texts[n])).toBeDefined()
    return decoded() - before
  }
  for (let n = 0; n < 18; n += 1) expect(read(n)).toBe(1)
  expect(read(17)).toBe(0)
  expect(read(0)).toBe(1)
})

test("long keys count as well", () => {
  const { decoded, schema } = countedText()
  const [writer, reader] = [makeTexts(), makeTexts()]
  const keys = Array.from({ length: 18 }, (_, n) => `${n} `.repeat(500_000))
  const texts = keys.map((key) => writer.write(schema, key, entryOf("short")))
  for (const [n, key] of keys.entries()) expect(reader.read(schema, key, texts[n])).toBeDefined()
  const before = decoded()
  expect(reader.read(schema, keys[0]!, texts[0])).toBeDefined()
  expect(decoded() - before).toBe(1)
})

test("an entry of more than a million characters is none, although it is sealed", () => {
  const [writer, reader] = [makeTexts(), makeTexts()]
  const read = (length: number) => {
    const text = writer.write(Schema.String, "key", entryOf("x".repeat(length)))
    return reader.read(Schema.String, "key", text)
  }
  expect(read(990_000)).toBeDefined()
  expect(read(1_000_000)).toBeUndefined()
})

test.each([
  ["of another key", (text: string) => text, "another key"],
  ["that somebody changed", (text: string) => text.replace("value", "valve"), "key"],
  ["without its end", (text: string) => text.slice(0, -1), "key"],
  ["without its seal", (text: string) => text.slice(43), "key"],
  ["shorter than a seal", (text: string) => text.slice(0, 10), "key"]
])("a text %s is no entry", (_what, change, key) => {
  const text = makeTexts().write(Schema.String, "key", entryOf("value"))
  expect(makeTexts().read(Schema.String, "key", text)?.value).toBe("value")
  expect(makeTexts().read(Schema.String, key, change(text))).toBeUndefined()
  expect(makeEntryTexts(Redacted.make("another")).read(Schema.String, "key", text)).toBeUndefined()
})
