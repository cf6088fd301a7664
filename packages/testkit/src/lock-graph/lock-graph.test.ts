import { describe, expect, test } from "vitest"
import { LockGraph } from "./lock-graph.ts"
import type { LockMode } from "./lock.ts"

/** The owner takes locks in this order and releases them all. */
const takes = (
  graph: LockGraph,
  owner: string,
  ...locks: ReadonlyArray<string | readonly [string, LockMode]>
) => {
  const pairs = locks.map((lock) => (typeof lock === "string" ? ([lock, "exclusive"] as const) : lock))
  for (const [lock, mode] of pairs) {
    graph.requests(owner, lock, mode)
    graph.acquired(owner, lock, mode)
  }
  for (const [lock] of pairs) graph.released(owner, lock)
}

const cyclesOf = (...sections: ReadonlyArray<ReadonlyArray<string | readonly [string, LockMode]>>) => {
  const graph = new LockGraph()
  sections.forEach((locks, index) => takes(graph, `client ${index}`, ...locks))
  return graph.cycles().map(({ locks }) => locks.join(" "))
}

describe("LockGraph", () => {
  test("finds opposite orders, even if no owner ever waited", () => {
    expect(cyclesOf(["a", "b"], ["b", "a"])).toEqual(["a b"])
    expect(cyclesOf(["a", "b"], ["a", "b"], ["a", "c", "b"])).toEqual([])
  })

  test("finds a cycle of three, and each cycle once", () => {
    expect(cyclesOf(["a", "b"], ["b", "c"], ["c", "a"], ["c", "a"])).toEqual(["a b c"])
  })

  test("ignores orders that a common lock keeps apart", () => {
    expect(cyclesOf(["guard", "a", "b"], ["guard", "b", "a"])).toEqual([])
    expect(cyclesOf(["guard", "a", "b"], ["other", "b", "a"])).toEqual(["a b"])
    expect(cyclesOf(["guard", "a", "b"], ["guard", "b", "a"], ["b", "a"])).toEqual(["a b"])
  })

  test("ignores shared locks that do not exclude each other", () => {
    const shared = (lock: string) => [lock, "shared"] as const
    expect(cyclesOf([shared("a"), shared("b")], [shared("b"), shared("a")])).toEqual([])
    expect(cyclesOf([shared("a"), "b"], [shared("b"), "a"])).toEqual(["a b"])
    expect(cyclesOf([shared("a"), "b"], [shared("b"), shared("a")])).toEqual([])
    expect(cyclesOf(["a", shared("b")], [shared("b"), "a"])).toEqual([])
  })

  test("finds orders under a common lock that both may share", () => {
    const shared = ["parent", "shared"] as const
    expect(cyclesOf([shared, "a", "b"], [shared, "b", "a"])).toEqual(["a b"])
    expect(cyclesOf([shared, "a", "b"], ["parent", "b", "a"])).toEqual([])
  })

  test("ignores orders whose first lock excludes the other", () => {
    expect(cyclesOf(["a", "b"], ["a", "b", "c"], ["c", "a"])).toEqual(["a c"])
    expect(cyclesOf(["a", "b"], ["a", "b", "c"], ["guard", "c", "b"], ["guard", "b", "c"])).toEqual(["b c"])
  })

  test("is incomplete when there were more orders than it keeps", () => {
    const graph = new LockGraph()
    takes(graph, "client", ...Array.from({ length: 300 }, (_, lock) => `row ${lock}`))
    expect(graph.orders).toHaveLength(20_000)
    expect(graph.isComplete).toBe(false)
  })

  test("forgets released locks, and ignores repeated requests", () => {
    const graph = new LockGraph()
    takes(graph, "client", "a")
    takes(graph, "client", "b")
    graph.acquired("client", "a")
    graph.requests("client", "a")
    expect(graph.orders).toEqual([])
  })

  test("counts a request that was refused", () => {
    const graph = new LockGraph()
    graph.acquired("client", "a")
    graph.requests("client", "b")
    expect(graph.orders).toMatchObject([{ from: "a", to: "b", owner: "client" }])
    expect(graph.heldBy("client")).toEqual(["a"])
  })

  test("stays small however often an order is seen", () => {
    const graph = new LockGraph()
    for (let time = 0; time < 1000; time++) takes(graph, "client", `guard ${time}`, "a", "b")
    expect(graph.isComplete).toBe(true)
    expect(graph.orders.filter(({ from, to }) => from === "a" && to === "b")).toHaveLength(16)
  })
})
