import type { LockOrder } from "./lock-graph.ts"

/** Orders of which each begins with the lock the one before ends with, and the first with the last one's. */
export interface LockCycle {
  readonly locks: ReadonlyArray<string>
  readonly orders: ReadonlyArray<LockOrder>
}

/** Longer cycles are not looked for: their number grows fast, and a shorter one is nearly always in them. */
const LONGEST_CYCLE = 4

/**
 * Every set of locks that can form a deadlock: a cycle in which neighbours exclude each other and no lock keeps two of
 * the orders apart.
 */
export const findCycles = (orders: ReadonlyArray<LockOrder>): ReadonlyArray<LockCycle> => {
  const from = Map.groupBy(orders, (order) => order.from)
  const found = new Map<string, LockCycle>()

  const extend = (path: ReadonlyArray<LockOrder>): void => {
    const [first, last] = [path[0], path.at(-1)]
    if (first === undefined || last === undefined) return
    for (const next of from.get(last.to) ?? []) {
      if (!excludes(last, next) || !canMeet(path, next)) continue
      if (next.to === first.from) {
        if (excludes(next, first)) keep(found, [...path, next])
      } else if (path.length + 1 < LONGEST_CYCLE && next.to > first.from && isNewOn(path, next.to)) {
        extend([...path, next])
      }
    }
  }

  // Every cycle is entered at its smallest lock, so it is met once in each direction.
  for (const order of orders) if (order.to > order.from) extend([order])
  return [...found.values()]
}

/** Somebody who asks for the lock in the one order is stopped by who holds it in the other. */
const excludes = (asks: LockOrder, holds: LockOrder): boolean =>
  asks.toMode === "exclusive" || holds.fromMode === "exclusive"

/** Under a lock that both cannot hold, only one of the orders is under way at a time. */
const canMeet = (path: ReadonlyArray<LockOrder>, next: LockOrder): boolean =>
  path.every(({ guards }) => !excludeEachOther(guards, next.guards))

const excludeEachOther = (ours: LockOrder["guards"], theirs: LockOrder["guards"]): boolean => {
  for (const [lock, mode] of ours) {
    const other = theirs.get(lock)
    if (other === "exclusive" || (other === "shared" && mode === "exclusive")) return true
  }
  return false
}

const isNewOn = (path: ReadonlyArray<LockOrder>, lock: string): boolean =>
  path.every(({ from, to }) => from !== lock && to !== lock)

const keep = (found: Map<string, LockCycle>, orders: ReadonlyArray<LockOrder>): void => {
  const locks = orders.map(({ from }) => from)
  const name = JSON.stringify(locks.toSorted((a, b) => (a < b ? -1 : 1)))
  if (!found.has(name)) found.set(name, { locks, orders })
}
