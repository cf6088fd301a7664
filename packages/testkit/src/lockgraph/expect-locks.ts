import type { LockCycle } from "./cycles.ts"
import type { LockGraph, LockOrder } from "./lock-graph.ts"

/** Locks were taken in orders that contradict each other: a deadlock can happen, even if none did. */
export class LockCycleError extends Error {
  readonly _tag = "LockCycle"
  readonly cycles: ReadonlyArray<LockCycle>

  constructor(cycles: ReadonlyArray<LockCycle>) {
    super(cycles.map(describeCycle).join("\n"))
    this.name = "LockCycleError"
    this.cycles = cycles
  }
}

/**
 * Expectations about the locks that were observed.
 *
 * @example
 * await using watch = await watchLocks({ upstreams, clients: 2 })
 * // let two clients work through watch.ports, one after the other is enough
 * expectLocks(watch.graph).toHaveOneOrder()
 */
export const expectLocks = (graph: LockGraph) => ({
  /**
   * Throws when a deadlock is possible, when more was seen than the graph keeps, and when nobody was ever seen to take a lock while holding another, unless
   * `allowNone`: then nothing was observed, and nothing is proved.
   *
   * @throws {@link LockCycleError}
   */
  toHaveOneOrder: ({ allowNone = false }: { readonly allowNone?: boolean } = {}): void => {
    const cycles = graph.cycles()
    if (cycles.length > 0) throw new LockCycleError(cycles)
    if (!graph.isComplete) {
      throw new Error(
        "So many locks were taken while others were held that not all orders are known: watch less."
      )
    }
    if (graph.orders.length === 0 && !allowNone) {
      throw new Error("Nobody was seen to take a lock while holding another one: nothing is proved.")
    }
  }
})

const describeCycle = ({ locks, orders }: LockCycle): string =>
  [`A deadlock is possible between ${locks.join(" and ")}:`, ...orders.map(describeOrder)].join("\n")

const describeOrder = ({ owner, from, to }: LockOrder): string =>
  `  ${owner} held ${from} and asked for ${to}`
