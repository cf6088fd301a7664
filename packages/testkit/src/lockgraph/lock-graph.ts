import { findCycles, type LockCycle } from "./cycles.ts"

export type LockMode = "shared" | "exclusive"

/** Once, somebody who held `from` asked for `to`. */
export interface LockOrder {
  readonly from: string
  readonly to: string
  readonly fromMode: LockMode
  readonly toMode: LockMode
  readonly owner: string
  /** What else the owner held: two orders under a common lock can never meet. */
  readonly guards: ReadonlyArray<string>
}

/** Different orders kept of one pair of locks; more of them add nothing but guards. */
const ORDERS_OF_A_PAIR = 16

/**
 * The orders in which locks were taken, by anybody at any time. A cycle of them is a deadlock that can happen, even
 * if it never did.
 *
 * Havelund, "Using runtime analysis to guide model checking of Java programs" (SPIN 2000), the GoodLock algorithm;
 * Agarwal and Stoller, "Run-time detection of potential deadlocks for programs with locks, semaphores, and condition
 * variables" (PADTAD 2006).
 */
export class LockGraph {
  readonly #held = new Map<string, Map<string, LockMode>>()
  readonly #orders = new Map<string, Array<LockOrder>>()

  /** The owner asks for a lock: everything it holds comes before that. Call it even if the lock is then refused. */
  requests(owner: string, lock: string, mode: LockMode = "exclusive"): void {
    const held = this.#heldBy(owner)
    if (held.has(lock)) return
    for (const [from, fromMode] of held) {
      const guards = [...held.keys()].filter((other) => other !== from)
      this.#note({ from, to: lock, fromMode, toMode: mode, owner, guards })
    }
  }

  /** The owner has got the lock. */
  acquired(owner: string, lock: string, mode: LockMode = "exclusive"): void {
    const held = this.#heldBy(owner)
    if (held.get(lock) !== "exclusive") held.set(lock, mode)
  }

  released(owner: string, lock: string): void {
    this.#heldBy(owner).delete(lock)
  }

  /** The locks an owner holds, in the order in which it got them. */
  heldBy(owner: string): ReadonlyArray<string> {
    return [...this.#heldBy(owner).keys()]
  }

  /** All orders that were seen. */
  get orders(): ReadonlyArray<LockOrder> {
    return [...this.#orders.values()].flat()
  }

  /** Orders that contradict each other, each set of locks once. */
  cycles(): ReadonlyArray<LockCycle> {
    return findCycles(this.orders)
  }

  #heldBy(owner: string): Map<string, LockMode> {
    const held = this.#held.get(owner) ?? new Map<string, LockMode>()
    this.#held.set(owner, held)
    return held
  }

  #note(order: LockOrder): void {
    const pair = JSON.stringify([order.from, order.to])
    const known = this.#orders.get(pair) ?? []
    this.#orders.set(pair, known)
    const isNew = !known.some(
      ({ fromMode, toMode, guards }) =>
        fromMode === order.fromMode && toMode === order.toMode && guards.join() === order.guards.join()
    )
    if (isNew && known.length < ORDERS_OF_A_PAIR) known.push(order)
  }
}
