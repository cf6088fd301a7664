import { describe, expect, it } from "vitest"
import { entangled } from "./entangled.ts"

const entangledIn = (waits: Readonly<Record<string, ReadonlyArray<string>>>) => [
  ...entangled(new Map(Object.entries(waits).map(([waiter, blockers]) => [waiter, new Set(blockers)])))
]

describe("entangled", () => {
  it("is nobody in a queue", () => {
    expect(entangledIn({ b: ["a"], c: ["a", "b"], d: ["c"] })).toEqual([])
  })

  it("is who waits in a circle of any length, or for one who does", () => {
    expect(entangledIn({ a: ["b"], b: ["a"] })).toEqual(["a", "b"])
    expect(entangledIn({ a: ["b"], b: ["c"], c: ["a"], d: ["c"], e: ["f"] })).toEqual(["a", "b", "c", "d"])
  })

  it("is also who waits for somebody else besides", () => {
    expect(entangledIn({ a: ["b", "x"], b: ["a"] })).toEqual(["a", "b"])
  })
})
