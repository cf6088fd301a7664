import { Schema } from "effect"
import { describe, expect, test } from "vitest"
import { Email, Password } from "../auth.ts"
import { RegisterLock } from "../commerce-locks.ts"
import { itemKeys } from "../orders.ts"
import { products } from "../products.ts"
import { Sku } from "./ids.ts"
import { normaliseEmail, normalisePassword, plainText, searchForm, searchWords } from "./text.ts"

const LONE_SURROGATE = "\uD800"
const ZERO_WIDTH = "\u200B"
const RIGHT_TO_LEFT = "\u202E"
const VARIATION = "\uFE0F"

const one = <A>(schema: Schema.Codec<A, string>, text: string): A => Schema.decodeUnknownSync(schema)(text)

describe("an e-mail address", () => {
  test.each([
    ["Ann@Example.COM", "ann@example.com"],
    ["  ann@example.com\n", "ann@example.com"],
    ["ann@example.com.", "ann@example.com"],
    ["ann@BÜCHER.example", "ann@xn--bcher-kva.example"],
    ["ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"],
    ["ann@XN--Bcher-KVA.example", "ann@xn--bcher-kva.example"],
    ["ann@example。com", "ann@example.com"],
    ["ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ann@example.com"],
    ["JOSE\u0301@example.com", "josé@example.com"],
    ["tom+shop@example.com", "tom+shop@example.com"]
  ])("%j is %j, also as a lock's key", (text, address) => {
    expect(one(Email, text)).toBe(address)
    expect(normaliseEmail(address)).toBe(address)
    expect(RegisterLock.key(text)).toBe(`register:${address}`)
  })

  test.each([
    "ann",
    "ann@",
    "@example.com",
    "ann@example",
    "a nn@example.com",
    "ann@exa mple.com",
    "a@nn@example.com",
    "ann@example..com",
    "ann@-example.com",
    "ann@127.0.0.1",
    "ann@0x7f.1",
    "ann@[::1]",
    "ann@example.com/path",
    "ann@user:pw@example.com",
    "ann@exa%6dple.com",
    `ann${ZERO_WIDTH}@example.com`,
    `ann@exam${ZERO_WIDTH}ple.com`,
    `ann${RIGHT_TO_LEFT}@example.com`,
    `ann${VARIATION}@example.com`,
    `ann${LONE_SURROGATE}@example.com`,
    "ann\0@example.com",
    `${"x".repeat(250)}@a.bc`
  ])("%j is refused", (text) => {
    expect(() => one(Email, text)).toThrow()
    // The lock's key is total, because it is made of decoded addresses only.
    expect(() => RegisterLock.key(text)).not.toThrow()
  })
})

describe("a password", () => {
  test.each([
    ["cafe\u0301 au lait", "café au lait"],
    ["pass\u00A0word\u3000!", "pass word !"],
    ["  outer blanks  ", "  outer blanks  "],
    ["Straße ﬁnal Σ", "Straße ﬁnal Σ"],
    ["пароль ☕ 密码 🔑", "пароль ☕ 密码 🔑"]
  ])("%j is hashed as %j", (text, form) => {
    expect(one(Password, text)).toBe(form)
    expect(normalisePassword(form)).toBe(form)
  })

  test.each([
    "",
    "1234567",
    "x".repeat(257),
    "a\tpassword",
    "a\0password",
    "a password\u007F",
    `a password${ZERO_WIDTH}`,
    `a password${RIGHT_TO_LEFT}`,
    `a password${LONE_SURROGATE}`,
    "a password\uFFFF",
    "a password\uE000",
    // Seven characters once they are composed.
    "1234567".replace("7", "e\u0301")
  ])("%j is refused", (text) => {
    expect(() => one(Password, text)).toThrow()
  })
})

describe("a SKU", () => {
  test("has one spelling in lock keys, and keeps its case", () => {
    expect(one(Sku, "CAFE\u0301")).toBe("CAFÉ")
    expect(one(Sku, "BANK\u00A0CHARGES")).toBe("BANK CHARGES")
    expect(one(Sku, "tea")).not.toBe(one(Sku, "TEA"))
    const lines = ["CAFE\u0301", "CAFÉ"].map((text) => ({ sku: one(Sku, text), quantity: 1 }))
    expect(itemKeys(lines)).toBe("CAFÉ:2")
  })

  test.each([
    "",
    " TEA",
    "TEA ",
    "TEA\u00A0",
    "A,B",
    "A:B",
    "A\tB",
    "A\0B",
    `TEA${ZERO_WIDTH}`,
    `TEA${RIGHT_TO_LEFT}`,
    `TEA${VARIATION}`,
    "TEA\u3164",
    `TEA${LONE_SURROGATE}`,
    "x".repeat(65)
  ])("%j is refused", (text) => {
    expect(() => one(Sku, text)).toThrow(/1 to 64 printable/)
  })
})

describe("plain text", () => {
  test("is composed, and keeps the joiners and marks that scripts need", () => {
    expect(one(plainText(9), "Cafe\u0301")).toBe("Café")
    expect(one(plainText(9), "می\u200Cخواهم")).toBe("می\u200Cخواهم")
  })

  test.each([
    "",
    " ",
    " a",
    "a ",
    "a\nb",
    "a\u2028b",
    "a\0b",
    ZERO_WIDTH,
    RIGHT_TO_LEFT,
    `a${LONE_SURROGATE}`,
    "x".repeat(10)
  ])("%j is refused", (text) => {
    expect(() => one(plainText(9), text)).toThrow()
  })
})

describe("searched text", () => {
  test.each([
    ["Foo™", "footm"],
    ["ＴＥＡ　①", "tea 1"],
    ["Café CRÈME", "cafe creme"],
    ["Cafe\u0301", "cafe"],
    ["STRASSE", "strasse"],
    ["Straße", "strasse"],
    ["ΟΔΟΣ", "οδοσ"],
    ["ﬁnal", "final"],
    ["İstanbul", "istanbul"],
    [`soft\u00ADhy${ZERO_WIDTH}phen`, "softhyphen"],
    ["がく", "がく"],
    ["か\u3099く", "がく"]
  ])("%j is compared as %j", (text, form) => {
    expect(searchForm(text)).toBe(form)
    expect(searchForm(form)).toBe(form)
  })

  // Guarantees: words are counted as they are compared, so no input makes a statement of hundreds of conditions.
  test("200 characters of which each becomes several words are refused", () => {
    const text = products.search.input.fields.text
    const manyWords = "\uFDFA".repeat(200)
    expect(searchWords(manyWords).length).toBeGreaterThan(4)
    expect(() => one(text, "a b c d e f g h i")).toThrow(/1 to 8 words/)
    const different = Array.from(
      { length: 100 },
      (_, n) => `${String.fromCodePoint(0x2488 + (n % 20))}\u00A8${n}`
    )
    expect(() => one(text, different.join("").slice(0, 200))).toThrow(/1 to 8 words/)
    expect(() => one(text, ZERO_WIDTH)).toThrow(/1 to 8 words/)
    expect(() => one(text, LONE_SURROGATE)).toThrow(/well-formed/)
    expect(() => one(text, "x".repeat(201))).toThrow(/200 characters/)
  })
})
