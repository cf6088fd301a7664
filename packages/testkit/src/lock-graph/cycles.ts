import type { LockOrder } from "./lock.ts"

/** Lock orders that form a cycle: each begins with the lock that ends the previous one. */
export interface LockCycle {
  readonly locks: ReadonlyArray<string>
  readonly orders: ReadonlyArray<LockOrder>
}

/** Longer cycles are ignored: their number grows fast, and nearly all contain a shorter one. */
const LONGEST_CYCLE = 4

/**
 * All sets of locks that can deadlock: cycles in which neighbours exclude each other and no common lock keeps two of the
 * orders from meeting.
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

  // Every cycle is entered at its smallest lock, so it is found once per direction.
  for (const order of orders) if (order.to > order.from) extend([order])
  return [...found.values()]
}

/** Whether a request for the lock in one order waits for its holder in the other. */
const excludes = (asks: LockOrder, holds: LockOrder): boolean =>
  asks.toMode !== "shared" || holds.fromMode !== "shared"

/** Whether no common lock keeps the new order from running at the same time as the others. */
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
