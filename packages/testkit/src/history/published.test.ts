import { describe, expect, test } from "vitest"
import { checkLinearizable } from "./linearizability.ts"
import { unknownOutput, type Model } from "./model.ts"
import { register, type RegisterInput, type RegisterOutput } from "./models/register.ts"
import { operationsOf, type Line } from "./testing/operations.ts"

type RegisterLine = Line<RegisterInput<number>, RegisterOutput<number>>

const read: RegisterInput<number> = { action: "read" }
const write = (value: number): RegisterInput<number> => ({ action: "write", value })
const cas = (from: number, to: number): RegisterInput<number> => ({ action: "cas", from, to })
const verdictOf = (lines: ReadonlyArray<RegisterLine>) =>
  checkLinearizable(operationsOf(lines), register(0)).verdict

/** The examples of MIT 6.824, quiz 2 of 2017, section VII, which Porcupine's own tests use. */
describe("the register examples of Porcupine", () => {
  test("accepts concurrent reads that see a write and that do not", () => {
    const history: ReadonlyArray<RegisterLine> = [
      ["c0", write(100), true, 0, 100],
      ["c1", read, 100, 25, 75],
      ["c2", read, 0, 30, 60]
    ]
    expect(verdictOf(history)).toBe("ok")
  })

  test("refuses a read of the old value after a read of the new one", () => {
    const history: ReadonlyArray<RegisterLine> = [
      ["c0", write(200), true, 0, 100],
      ["c1", read, 200, 10, 30],
      ["c2", read, 0, 40, 90]
    ]
    expect(verdictOf(history)).toBe("illegal")
  })

  test("accepts operations without duration", () => {
    const legal: ReadonlyArray<RegisterLine> = [
      ["c0", write(100), true, 0, 100],
      ["c1", read, 100, 25, 75],
      ["c2", read, 0, 30, 30],
      ["c3", read, 0, 30, 30]
    ]
    const illegal: ReadonlyArray<RegisterLine> = [
      ["c0", write(200), true, 0, 100],
      ["c1", read, 200, 10, 10],
      ["c2", read, 200, 10, 10],
      ["c3", read, 0, 40, 90]
    ]
    expect(verdictOf(legal)).toBe("ok")
    expect(verdictOf(illegal)).toBe("illegal")
  })
})

/** From the collection of histories that Knossos is tested with. */
describe("the register histories of Knossos", () => {
  test("blames the impossible read, not an operation after it (rethink-fail-minimal)", () => {
    const history = operationsOf<RegisterInput<number>, RegisterOutput<number>>([
      ["p0", write(0), true, 0, 1],
      ["p1", read, 3, 2, 4],
      ["p2", write(4), true, 3, 5],
      ["p3", read, 4, 6, 7]
    ])
    const check = checkLinearizable(history, register(0))
    expect(check).toMatchObject({ verdict: "illegal", illegal: { client: "p1" } })
  })

  test("does not explain a read by a failed write (immediate-failure)", () => {
    const [reading, writing] = operationsOf<RegisterInput<number>, RegisterOutput<number>>([
      ["p1", read, 3, 0, 3],
      ["p101", write(3), 1]
    ])
    const failed = {
      ...writing!,
      outcome: { status: "failed", error: "unavailable", returnedAtNs: 2 } as const
    }
    expect(checkLinearizable([reading!, failed], register(0)).verdict).toBe("illegal")
    expect(checkLinearizable([reading!, writing!], register(0)).verdict).toBe("ok")
  })

  test("lets an indeterminate compare-and-set take effect long after its client gave up", () => {
    const history: ReadonlyArray<RegisterLine> = [
      ["p0", cas(0, 1), 0],
      ["p1", read, 0, 1, 2],
      ["p2", read, 1, 3, 4]
    ]
    expect(verdictOf(history)).toBe("ok")
    expect(verdictOf([...history, ["p3", read, 0, 5, 6]])).toBe("illegal")
  })
})

type QueueInput = { readonly enqueue: string } | { readonly dequeue: true }

/** A custom model: a FIFO queue as an array of strings. */
const queue: Model<ReadonlyArray<string>, QueueInput, string> = {
  name: "queue",
  initial: () => [],
  step: (items, input, output) => {
    if ("enqueue" in input) return [...items, input.enqueue]
    if (output === unknownOutput) return items.slice(1)
    return items[0] === output ? items.slice(1) : undefined
  }
}

/** Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects" (TOPLAS 1990), figure 1. */
describe("the queue histories of Herlihy and Wing", () => {
  const enqueue = (item: string): QueueInput => ({ enqueue: item })
  const dequeue: QueueInput = { dequeue: true }
  const verdictOf = (lines: ReadonlyArray<Line<QueueInput, string>>) =>
    checkLinearizable(operationsOf(lines), queue).verdict

  test("accepts overlapping enqueues that are dequeued in either order", () => {
    const history: ReadonlyArray<Line<QueueInput, string>> = [
      ["A", enqueue("x"), "ok", 0, 3],
      ["B", enqueue("y"), "ok", 1, 2],
      ["B", dequeue, "x", 4, 6],
      ["A", dequeue, "y", 5, 8],
      ["A", enqueue("z"), "ok", 9, 10]
    ]
    expect(verdictOf(history)).toBe("ok")
  })

  test("refuses a dequeue out of order", () => {
    const history: ReadonlyArray<Line<QueueInput, string>> = [
      ["A", enqueue("x"), "ok", 0, 1],
      ["B", enqueue("y"), "ok", 2, 4],
      ["A", dequeue, "y", 3, 5]
    ]
    expect(verdictOf([history[0]!, history[1]!])).toBe("ok")
    expect(verdictOf(history)).toBe("illegal")
  })

  test("accepts a dequeue of an item whose enqueue has not returned", () => {
    expect(
      verdictOf([
        ["A", enqueue("x"), 0],
        ["B", dequeue, "x", 1, 2]
      ])
    ).toBe("ok")
  })

  test("refuses two dequeues of one item", () => {
    const history: ReadonlyArray<Line<QueueInput, string>> = [
      ["A", enqueue("x"), "ok", 0, 3],
      ["B", enqueue("y"), "ok", 1, 2],
      ["A", dequeue, "y", 4, 6],
      ["C", dequeue, "y", 5, 7]
    ]
    expect(verdictOf(history)).toBe("illegal")
  })
})
