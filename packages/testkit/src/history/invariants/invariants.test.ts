import { describe, expect, test } from "vitest"
import { checkLinearizable, UnsoundInvariantError } from "../linearizability.ts"
import { fencedMutex, type FencedMutexInput, type FencedMutexOutput } from "../models/fenced-mutex.ts"
import { mutex, type MutexInput } from "../models/mutex.ts"
import { register } from "../models/register.ts"
import { stockCounter, type StockInput, type StockOutput } from "../models/stock-counter.ts"
import { operationsOf, type Line } from "../testing/operations.ts"

const acquire = (owner: string) => ({ action: "acquire", owner }) as const
const release = (owner: string) => ({ action: "release", owner }) as const
const expire = { action: "expire", owner: "clock" } as const

describe("overlap", () => {
  const check = (lines: ReadonlyArray<Line<MutexInput, boolean>>) =>
    checkLinearizable(operationsOf(lines), mutex())

  test("names the two holders and the duration of their overlap", () => {
    const history: ReadonlyArray<Line<MutexInput, boolean>> = [
      ["a", acquire("a"), true, 0, 1_000_000],
      ["b", acquire("b"), true, 2_000_000, 3_000_000],
      ["a", release("a"), true, 5_000_000, 6_000_000]
    ]
    expect(check(history)).toMatchObject({
      verdict: "illegal",
      illegal: { client: "b" },
      violation: { invariant: "overlap", message: "a and b both held it for 2.000 ms." }
    })
  })

  test("finds a hold inside a long one", () => {
    const history: ReadonlyArray<Line<MutexInput, boolean>> = [
      ["a", acquire("a"), true, 0, 1],
      ["b", acquire("b"), 2],
      ["b", release("b"), 3],
      ["c", acquire("c"), true, 4, 5],
      ["a", release("a"), true, 6, 7]
    ]
    expect(check(history)).toMatchObject({ violation: { invariant: "overlap" }, illegal: { client: "c" } })
  })

  test("ignores an earlier hold of the same owner", () => {
    const history: ReadonlyArray<Line<MutexInput, boolean>> = [
      ["a", acquire("a"), true, 0, 1],
      ["a", release("a"), true, 2, 3],
      ["a", acquire("a"), true, 4, 5],
      ["b", acquire("b"), true, 6, 7],
      ["a", release("a"), true, 8, 9]
    ]
    expect(check(history)).toMatchObject({ violation: { invariant: "overlap" }, illegal: { client: "b" } })
  })

  test("ends a hold at the first call that may have ended it", () => {
    const released: ReadonlyArray<Line<MutexInput, boolean>> = [
      ["a", acquire("a"), true, 0, 1],
      ["a", release("a"), 2],
      ["b", acquire("b"), true, 3, 4]
    ]
    const expired: ReadonlyArray<Line<MutexInput, boolean>> = [
      ["a", acquire("a"), true, 1, 4],
      ["clock", expire, true, 0, 3],
      ["b", acquire("b"), true, 5, 6]
    ]
    expect(check(released).verdict).toBe("ok")
    expect(check(expired).verdict).toBe("ok")
  })
})

describe("tokenOrder", () => {
  const check = (lines: ReadonlyArray<Line<FencedMutexInput, FencedMutexOutput>>) =>
    checkLinearizable(operationsOf(lines), fencedMutex())

  test("names the token that decreased", () => {
    const history: ReadonlyArray<Line<FencedMutexInput, FencedMutexOutput>> = [
      ["a", acquire("a"), 7, 0, 1],
      ["a", release("a"), true, 2, 3],
      ["b", acquire("b"), 5, 4, 6]
    ]
    expect(check(history)).toMatchObject({
      verdict: "illegal",
      violation: { invariant: "tokenOrder", message: "b got token 5 after a had got 7." }
    })
  })

  test("names a token that was granted twice, even concurrently", () => {
    const history: ReadonlyArray<Line<FencedMutexInput, FencedMutexOutput>> = [
      ["a", acquire("a"), 7, 0, 10],
      ["clock", expire, true, 1, 9],
      ["b", acquire("b"), 7, 2, 8]
    ]
    expect(check(history)).toMatchObject({
      violation: { invariant: "tokenOrder", message: "Token 7 went to a and to b." }
    })
  })

  test("lets concurrent grants return in any order", () => {
    const history: ReadonlyArray<Line<FencedMutexInput, FencedMutexOutput>> = [
      ["a", acquire("a"), 7, 0, 10],
      ["clock", expire, true, 1, 9],
      ["b", acquire("b"), 5, 2, 8]
    ]
    expect(check(history).verdict).toBe("ok")
  })
})

describe("conservation and falseSoldOut", () => {
  const take = (quantity = 1): StockInput => ({ action: "take", quantity })
  const give = (quantity = 1): StockInput => ({ action: "give", quantity })
  const read: StockInput = { action: "read" }
  const check = (initial: number, lines: ReadonlyArray<Line<StockInput, StockOutput>>) =>
    checkLinearizable(operationsOf(lines), stockCounter({ initial }))

  test("adds concurrent takes up", () => {
    const takes = [0, 1, 2].map((index): Line<StockInput, StockOutput> => [
      `c${index}`,
      take(),
      true,
      index,
      10
    ])
    expect(check(3, takes).verdict).toBe("ok")
    expect(check(2, takes)).toMatchObject({
      violation: { invariant: "conservation", message: "3 were taken of 2." }
    })
  })

  test("counts a give with a lost reply as supply, and a take with a lost reply as a reason for a refusal", () => {
    expect(
      check(0, [
        ["a", give(), 0],
        ["b", take(), true, 1, 2]
      ]).verdict
    ).toBe("ok")
    expect(
      check(1, [
        ["a", take(), 0],
        ["b", take(), false, 1, 2]
      ]).verdict
    ).toBe("ok")
  })

  test("bounds what a reader can have seen", () => {
    const history: ReadonlyArray<Line<StockInput, StockOutput>> = [
      ["a", take(2), true, 0, 1],
      ["b", take(1), true, 2, 5],
      ["c", read, 4, 3, 4]
    ]
    expect(check(5, history)).toMatchObject({
      violation: { invariant: "conservation", message: "c saw 4, which must have been between 2 and 3." }
    })
  })

  test("finds the refusal of a quantity that was left", () => {
    const history: ReadonlyArray<Line<StockInput, StockOutput>> = [
      ["a", take(2), true, 0, 1],
      ["b", take(2), false, 2, 3]
    ]
    expect(check(3, history).verdict).toBe("ok")
    expect(check(4, history)).toMatchObject({
      violation: { invariant: "falseSoldOut", message: "b was refused 2 though at least 2 were left." }
    })
  })
})

describe("a failed operation", () => {
  test("has no effect, so it explains no refusal", () => {
    const [failed, refused] = operationsOf<StockInput, StockOutput>([
      ["a", { action: "take" }, 0],
      ["b", { action: "take" }, false, 2, 3]
    ])
    const history = [
      { ...failed!, outcome: { status: "failed", error: "no money", returnedAtNs: 1 } as const },
      refused!
    ]
    expect(checkLinearizable(history, stockCounter({ initial: 1 }))).toMatchObject({
      violation: { invariant: "falseSoldOut" }
    })
  })
})

describe("a wrong invariant", () => {
  test("is refuted by the search instead of accusing a correct object", () => {
    const operations = operationsOf<{ action: "read" }, number>([["a", { action: "read" }, 0, 0, 1]])
    const suspicious = {
      ...register(0),
      invariants: [() => ({ invariant: "always", message: "Always wrong.", operations })]
    }
    expect(() => checkLinearizable(operations, suspicious)).toThrow(UnsoundInvariantError)
  })
})
