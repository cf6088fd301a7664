import { describe, expect, test } from "vitest"
import { strictClock } from "./history.ts"
import { History } from "./history.ts"
import type { StockInput, StockOutput } from "./models/stock-counter.ts"

const take: StockInput = { action: "take" }

describe("strictClock", () => {
  test("strictly increases even when the machine's clock repeats a reading", () => {
    const { now } = strictClock(100n, () => 105n)
    expect([now(), now(), now()]).toEqual([5, 6, 7])
  })
})

describe("History", () => {
  test("records call and return with distinct times", () => {
    const history = new History<StockInput, StockOutput>()
    const open = Array.from({ length: 1000 }, (_, index) => history.call(`c${index}`, take))
    for (const operation of open) operation.returned(true)
    const instants = history.operations.flatMap(({ calledAtNs, outcome }) =>
      outcome.status === "returned" ? [calledAtNs, outcome.returnedAtNs] : []
    )
    expect(new Set(instants).size).toBe(2000)
    expect(Math.max(...history.operations.map(({ calledAtNs }) => calledAtNs))).toBeLessThan(
      Math.min(...instants.slice(1).filter((_, index) => index % 2 === 0))
    )
  })

  test("resolves and rejects as the call does, and records an error as an unknown outcome", async () => {
    const history = new History<StockInput, StockOutput>()
    const reset = new Error("reset")
    await expect(history.record("a", take, async () => true)).resolves.toBe(true)
    await expect(history.record("b", take, () => Promise.reject(reset))).rejects.toBe(reset)
    await expect(
      history.record("c", take, () => Promise.reject(reset), { onError: () => "failed" })
    ).rejects.toBe(reset)
    await expect(
      history.record("d", take, () => Promise.reject(reset), { onError: () => ({ output: false }) })
    ).rejects.toBe(reset)
    await history.record("e", take, async () => ({ sold: 2 }), { output: ({ sold }) => sold > 0 })
    expect(history.operations.map(({ client, outcome }) => [client, outcome.status])).toEqual([
      ["a", "returned"],
      ["b", "unknown"],
      ["c", "failed"],
      ["d", "returned"],
      ["e", "returned"]
    ])
    expect(history.operations[3]?.outcome).toMatchObject({ output: false })
    expect(history.operations[4]?.outcome).toMatchObject({ output: true })
  })

  test("leaves an unsettled operation unknown", () => {
    const history = new History<StockInput, StockOutput>()
    history.call("a", take)
    expect(history.operations[0]?.outcome.status).toBe("unknown")
  })

  test("throws when an operation is settled twice and when the capacity is exceeded", () => {
    const history = new History<StockInput, StockOutput>({ capacity: 1 })
    const operation = history.call("a", take)
    operation.lost()
    expect(() => operation.returned(true)).toThrow(/settled twice/)
    expect(() => history.call("b", take)).toThrow(/holds 1 operations/)
  })

  test("merges operations recorded elsewhere on the same clock", () => {
    const mine = new History<StockInput, StockOutput>()
    const theirs = new History<StockInput, StockOutput>({ originNs: mine.originNs })
    mine.call("a", take).returned(true)
    theirs.call("b", take).returned(true)
    mine.merge(theirs.operations)
    const [first, second] = mine.operations
    expect(mine.operations.map(({ id }) => id)).toEqual([0, 1])
    expect(first?.outcome).toMatchObject({ status: "returned" })
    expect(second?.calledAtNs).toBeGreaterThan(first?.calledAtNs ?? Infinity)
  })
})
