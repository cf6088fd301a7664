import { describe, expect, it } from "vitest"
import { deadlocked } from "./mysql-locks.ts"

const deadlockedIn = (waits: Readonly<Record<string, ReadonlyArray<string>>>) => [
  ...deadlocked(new Map(Object.entries(waits).map(([waiter, blockers]) => [waiter, new Set(blockers)])))
]

describe("deadlocked", () => {
  it("is nobody in a queue", () => {
    expect(deadlockedIn({ b: ["a"], c: ["a", "b"], d: ["c"] })).toEqual([])
  })

  it("is who waits in a circle of any length, or for one who does", () => {
    expect(deadlockedIn({ a: ["b"], b: ["a"] })).toEqual(["a", "b"])
    expect(deadlockedIn({ a: ["b"], b: ["c"], c: ["a"], d: ["c"], e: ["f"] })).toEqual(["a", "b", "c", "d"])
  })

  it("is also who waits for somebody else besides", () => {
    expect(deadlockedIn({ a: ["b", "x"], b: ["a"] })).toEqual(["a", "b"])
  })
})
