import { describe, expect, it } from "vitest"
import { parseArguments, UsageError } from "./arguments.ts"
import { textOf } from "./decimal.ts"

describe("the replay's arguments", () => {
  it("have defaults", () => {
    const parsed = parseArguments(["a.csv"])
    expect(parsed).toMatchObject({ file: "a.csv", workers: 32, seed: 1, json: false, fresh: false })
    expect(parsed !== "help" && textOf(parsed.stockFactor)).toBe("1")
  })

  it("may come in any order", () => {
    expect(
      parseArguments(["--workers", "8", "--json", "a.csv.gz", "--stock-factor=0.5", "--seed", "7", "--fresh"])
    ).toMatchObject({
      file: "a.csv.gz",
      workers: 8,
      seed: 7,
      json: true,
      fresh: true,
      stockFactor: { digits: 5n, scale: 1 }
    })
    expect(parseArguments(["-h"])).toBe("help")
  })

  it.each([
    [[], /which file/],
    [["a.csv", "b.csv"], /one file at a time/],
    [["a.csv", "--workers", "0"], /--workers 0: must be a whole number from 1 to 1000/],
    [["a.csv", "--workers", "many"], /--workers many/],
    [["a.csv", "--workers", "1.5"], /--workers 1.5/],
    [["a.csv", "--stock-factor", "half"], /--stock-factor half: must be a decimal number from 0 to 100/],
    [["a.csv", "--stock-factor=-1"], /--stock-factor -1/],
    [["a.csv", "--stock-factor", "1e3"], /--stock-factor 1e3/],
    [["a.csv", "--stock-factor", "101"], /--stock-factor 101/],
    [["a.csv", "--seed", "4294967296"], /--seed 4294967296/],
    [["a.csv", "--speed", "9"], /--speed/]
  ])("are refused when they make no sense: %j", (args, message) => {
    expect(() => parseArguments(args)).toThrow(UsageError)
    expect(() => parseArguments(args)).toThrow(message)
  })
})
