import { isDeepStrictEqual } from "node:util"
import { describe, expect, test } from "vitest"
import { checkLinearizable } from "./linearizability.ts"
import { unknownOutput, type Model, type Observed } from "./model.ts"
import { register } from "./models/register.ts"
import { structuralKey } from "./structural-key.ts"
import { operationsOf, type Line } from "./testing/operations.ts"

class Point {
  readonly x: number
  constructor(x: number) {
    this.x = x
  }
}
class OtherPoint extends Point {}
class Hidden {
  readonly #x = 1
  get x(): number {
    return this.#x
  }
}

const sparse = () => Object.assign([], { 1: 1 })

/** Two ways to make an equal value, and a third one that differs. */
const kinds: ReadonlyArray<readonly [name: string, a: unknown, same: unknown, other: unknown]> = [
  [
    "Map",
    new Map([
      ["a", { n: 1 }],
      ["b", { n: 2 }]
    ]),
    new Map([
      ["b", { n: 2 }],
      ["a", { n: 1 }]
    ]),
    new Map([
      ["a", { n: 2 }],
      ["b", { n: 1 }]
    ])
  ],
  [
    "Map with keys that are objects",
    new Map([[{ k: 1 }, 1]]),
    new Map([[{ k: 1 }, 1]]),
    new Map([[{ k: 2 }, 1]])
  ],
  ["Set", new Set([1, "1"]), new Set(["1", 1]), new Set([1])],
  ["bigint", 10n ** 30n, 10n ** 30n, 10n ** 30n + 1n],
  ["NaN", Number.NaN, Number.NaN, null],
  ["undefined", undefined, undefined, null],
  ["negative zero", -0, -0, 0],
  ["Date", new Date(5), new Date(5), new Date(6)],
  ["typed array", new Uint8Array([1, 2]), new Uint8Array([1, 2]), new Int8Array([1, 2])],
  ["Buffer", Buffer.from("ab"), Buffer.from("ab"), Buffer.from("ac")],
  ["ArrayBuffer", new Uint8Array([1]).buffer, new Uint8Array([1]).buffer, new Uint8Array([2]).buffer],
  ["class instance", new Point(1), new Point(1), new OtherPoint(1)],
  ["plain object", { a: 1, b: 2 }, { b: 2, a: 1 }, { a: 2, b: 1 }],
  ["object without prototype", Object.create(null), Object.create(null), {}],
  ["sparse array", sparse(), sparse(), [undefined, 1]],
  ["string like a number", "1", "1", 1],
  ["text like an object", "{}", "{}", {}],
  ["RegExp", /a/g, /a/g, /a/i],
  ["Error", new Error("a"), new Error("a"), new Error("b")],
  ["URL", new URL("http://a/"), new URL("http://a/"), new URL("http://b/")],
  ["String object", new String("ab"), new String("ab"), "ab"],
  ["symbol", Symbol.for("a"), Symbol.for("a"), Symbol("a")],
  [
    "property named by a symbol",
    { [Symbol.for("a")]: 1 },
    { [Symbol.for("a")]: 1 },
    { [Symbol.for("b")]: 1 }
  ],
  [
    "nested",
    { a: [new Map([[1n, new Set([new Date(1)])]])] },
    { a: [new Map([[1n, new Set([new Date(1)])]])] },
    { a: [new Map([[1n, new Set([new Date(2)])]])] }
  ]
]

test.each(kinds)("%s: equal contents have equal keys, others do not", (_name, a, same, other) => {
  expect(structuralKey(a)).toBe(structuralKey(same))
  expect(structuralKey({ a })).toBe(structuralKey({ a: same }))
  expect(structuralKey(a)).not.toBe(structuralKey(other))
})

const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

test.each([
  ["a function", () => 1],
  ["a method", { items: [{ run: () => 1 }] }],
  ["a promise", Promise.resolve(1)],
  ["a WeakMap", new WeakMap()],
  ["a cycle", cyclic],
  ["private fields", new Hidden()],
  [
    "private fields of a Map",
    new (class Stock extends Map {
      readonly #x = 1
      get x() {
        return this.#x
      }
    })()
  ],
  ["an iterator", [1][Symbol.iterator]()]
])("%s is refused instead of compared", (_name, value) => {
  expect(() => structuralKey(value)).toThrow(/^state.*Give the model a stateKey/)
})

type StockInput = { readonly take: string } | { readonly look: string }

/** Everything in one state: a model that JSON would see as always the same. */
const stockMap: Model<ReadonlyMap<string, bigint>, StockInput, bigint | boolean> = {
  name: "stock map",
  initial: () =>
    new Map([
      ["tea", 1n],
      ["jam", 2n]
    ]),
  step: (left, input, output) => {
    if ("look" in input) return output === unknownOutput || output === left.get(input.look) ? left : undefined
    const stock = left.get(input.take) ?? 0n
    if (output !== unknownOutput && output !== stock > 0n) return undefined
    return stock > 0n ? new Map(left).set(input.take, stock - 1n) : left
  }
}

/** Both takes of jam must be tried before the take of tea, in any order of the search. */
const legal: ReadonlyArray<Line<StockInput, bigint | boolean>> = [
  ["a", { take: "tea" }, true, 0, 50],
  ["b", { take: "jam" }, true, 0, 50],
  ["c", { take: "jam" }, true, 0, 50],
  ["d", { look: "jam" }, 0n, 10, 20],
  ["e", { look: "tea" }, 1n, 21, 30],
  ["f", { look: "tea" }, 0n, 60, 70]
]

describe("a model whose state is a Map of bigints", () => {
  test("accepts a legal history and refuses an illegal one", () => {
    expect(checkLinearizable(operationsOf(legal), stockMap).verdict).toBe("ok")
    const oversold = [...legal, ["g", { take: "tea" }, true, 80, 90] as const]
    expect(checkLinearizable(operationsOf(oversold), stockMap).verdict).toBe("illegal")
  })

  test("a step that changes the Map in place is an error, not a verdict", () => {
    const step = (
      left: ReadonlyMap<string, bigint>,
      input: StockInput,
      output: Observed<bigint | boolean>
    ) => {
      const after = stockMap.step(left, input, output)
      if (after === undefined) return undefined
      for (const [sku, stock] of after) (left as Map<string, bigint>).set(sku, stock)
      return left
    }
    expect(() => checkLinearizable(operationsOf(legal), { ...stockMap, step })).toThrow(
      "changed its state in place"
    )
  })
})

const wrappings: ReadonlyArray<readonly [name: string, wrap: (value: number) => unknown]> = [
  ["a Map", (value) => new Map([["value", value]])],
  ["a Set", (value) => new Set([value])],
  ["a bigint", BigInt],
  ["NaN or null", (value) => (value === 1 ? Number.NaN : null)],
  ["a typed array", (value) => new Float64Array([value])],
  ["an instance with a Map", (value) => Object.assign(new Point(0), { held: new Map([[value, value]]) })]
]

test.each(wrappings)(
  "two orders that end in different states are told apart when the state is %s",
  (_name, wrap) => {
    const model: Model<unknown, { readonly set?: number }, number | null> = {
      name: "wrapped",
      initial: () => wrap(0),
      step: (state, { set }, output) => {
        if (set !== undefined) return wrap(set)
        return typeof output === "number" && isDeepStrictEqual(wrap(output), state) ? state : undefined
      }
    }
    const sets: ReadonlyArray<Line<{ readonly set?: number }, number | null>> = [
      ["a", { set: 1 }, null, 0, 50],
      ["b", { set: 2 }, null, 0, 50]
    ]
    const verdictOf = (value: number) =>
      checkLinearizable(operationsOf([...sets, ["c", {}, value, 60, 70]]), model).verdict
    expect([1, 2, 3].map(verdictOf)).toEqual(["ok", "ok", wrap(3) === wrap(2) ? "ok" : "illegal"])
  }
)

test("a register holds any value", () => {
  const written = new Map([[1n, new Set(["a"])]])
  const read = (value: unknown) =>
    checkLinearizable(
      operationsOf<Parameters<ReturnType<typeof register<unknown>>["step"]>[1], unknown>([
        ["a", { action: "write", value: written }, "ok", 0, 1],
        ["b", { action: "read" }, value, 2, 3]
      ]),
      register<unknown>(undefined)
    ).verdict
  expect(read(new Map([[1n, new Set(["a"])]]))).toBe("ok")
  expect(read(new Map([[1n, new Set(["b"])]]))).toBe("illegal")
})
