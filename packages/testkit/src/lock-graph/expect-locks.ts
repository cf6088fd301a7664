import type { LockCycle } from "./cycles.ts"
import type { LockGraph } from "./lock-graph.ts"
import type { LockOrder } from "./lock.ts"

/** Locks were taken in contradictory orders, so a deadlock is possible even if none happened. */
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
 * Expectations about observed locks.
 *
 * @example
 * await using watch = await watchLocks({ upstreams, clients: 2 })
 * // run two clients through watch.ports; one after the other is enough
 * expectLocks(watch.graph).toHaveOneOrder()
 */
export const expectLocks = (graph: LockGraph) => ({
  /**
   * Throws when a deadlock is possible.
   *
   * @param options `allowNone` accepts that no client took a lock while holding another, which proves nothing
   * @throws LockCycleError when a deadlock is possible
   * @throws Error when there were more orders than the graph keeps, or none and `allowNone` is not set
   */
  toHaveOneOrder: ({ allowNone = false }: { readonly allowNone?: boolean } = {}): void => {
    const cycles = graph.cycles()
    if (cycles.length > 0) throw new LockCycleError(cycles)
    if (!graph.isComplete) {
      throw new Error("Too many locks were taken while others were held to record all orders. Observe fewer.")
    }
    if (graph.orders.length === 0 && !allowNone) {
      throw new Error("No client took a lock while holding another one, so this proves nothing.")
    }
  }
})

const describeCycle = ({ locks, orders }: LockCycle): string =>
  [`A deadlock is possible between ${locks.join(" and ")}:`, ...orders.map(describeOrder)].join("\n")

const describeOrder = ({ owner, from, to }: LockOrder): string =>
  `  ${owner} held ${from} and asked for ${to}`
