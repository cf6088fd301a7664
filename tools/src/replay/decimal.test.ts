import { describe, expect, test } from "vitest"
import { isBelow, minorOf, parseDecimal, shareOf, textOf, wholeOf } from "./decimal.ts"

const decimal = (text: string) => parseDecimal(text)!

describe("decimals", () => {
  test.each([
    "",
    " 1",
    "1 ",
    "1e3",
    "+1",
    ".5",
    "1.",
    "--1",
    "NaN",
    "Infinity",
    "1,5",
    "0x10",
    "9".repeat(19)
  ])("reject %j", (text) => expect(parseDecimal(text)).toBeUndefined())

  test.each([
    ["2.55", 255n],
    ["2.5", 250n],
    ["2", 200n],
    ["0.001", 0n],
    ["0.004", 0n],
    ["0.005", 1n],
    ["1.005", 101n],
    ["1.0049999", 100n],
    ["8.325", 833n],
    ["13541.33", 1_354_133n],
    ["-1.005", -100n],
    ["-11062.06", -1_106_206n]
  ])("in pounds convert to pence, half a pence rounded up: %s", (text, minor) => {
    expect(minorOf(decimal(text))).toBe(minor)
  })

  test.each([
    ["17850.0", 17_850n],
    ["6", 6n],
    ["-6.00", -6n],
    ["1.5", undefined],
    ["0.1", undefined]
  ])("convert to a whole number unless they have a fraction: %s", (text, whole) =>
    expect(wholeOf(decimal(text))).toBe(whole)
  )

  test.each([
    ["0.29", 100, 29],
    ["0.5", 7, 3],
    ["1", 80_995, 80_995],
    ["0", 5, 0],
    ["0.1", 30, 3],
    ["1.5", 3, 4],
    ["0.999999999", 1_000_000_000, 999_999_999]
  ])("multiply whole units exactly, rounded down: %s of %i", (factor, units, share) => {
    expect(shareOf(decimal(factor), units)).toBe(share)
  })

  test("compare with whole numbers", () => {
    expect(["0.999999999999999999", "0", "-1"].map((text) => isBelow(decimal(text), 1))).toEqual([
      true,
      true,
      true
    ])
    expect(["1", "1.000", "1.000000000000000001"].map((text) => isBelow(decimal(text), 1))).toEqual([
      false,
      false,
      false
    ])
  })

  test("have one canonical text", () => {
    expect(["1", "1.0", "0.50", "0.5", "10", "0", "-0.250"].map((text) => textOf(decimal(text)))).toEqual([
      "1",
      "1",
      "0.5",
      "0.5",
      "10",
      "0",
      "-0.25"
    ])
  })
})
