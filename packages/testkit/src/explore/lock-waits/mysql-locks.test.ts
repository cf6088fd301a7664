import { describe, expect, test } from "vitest"
import { deadlocked } from "./mysql-locks.ts"

const deadlockedIn = (waits: Readonly<Record<string, ReadonlyArray<string>>>) => [
  ...deadlocked(new Map(Object.entries(waits).map(([waiter, blockers]) => [waiter, new Set(blockers)])))
]

describe("deadlocked", () => {
  test("is empty for a queue", () => {
    expect(deadlockedIn({ b: ["a"], c: ["a", "b"], d: ["c"] })).toEqual([])
  })

  test("contains waiters in a cycle of any length, and those that wait for one of them", () => {
    expect(deadlockedIn({ a: ["b"], b: ["a"] })).toEqual(["a", "b"])
    expect(deadlockedIn({ a: ["b"], b: ["c"], c: ["a"], d: ["c"], e: ["f"] })).toEqual(["a", "b", "c", "d"])
  })

  test("contains waiters in a cycle that also wait for another", () => {
    expect(deadlockedIn({ a: ["b", "x"], b: ["a"] })).toEqual(["a", "b"])
  })
})
