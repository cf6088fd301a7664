import { findCycles, type LockCycle } from "./cycles.ts"
import type { LockMode, LockOrder } from "./lock.ts"

/** Maximum number of orders per pair of locks; further ones differ only in their guards. */
const ORDERS_OF_A_PAIR = 16

/** A transaction that takes two hundred locks one after the other has as many orders. */
const MOST_ORDERS = 20_000

/**
 * The orders in which any owner took locks at any time. A cycle is a possible deadlock, even if it never happened.
 *
 * Havelund, "Using runtime analysis to guide model checking of Java programs" (SPIN 2000), the GoodLock algorithm;
 * Agarwal and Stoller, "Run-time detection of potential deadlocks for programs with locks, semaphores, and condition
 * variables" (PADTAD 2006).
 */
export class LockGraph {
  readonly #held = new Map<string, Map<string, LockMode>>()
  readonly #orders = new Map<string, Array<LockOrder>>()
  /** Each owner's current locks, shared by its orders; dropped when they change. */
  readonly #guards = new Map<string, ReadonlyMap<string, LockMode>>()
  #orderCount = 0
  #isComplete = true

  /** The owner requests a lock, after everything it holds. Call it even if the lock is then refused. */
  requests(owner: string, lock: string, mode: LockMode = "exclusive"): void {
    const held = this.#heldBy(owner)
    if (held.has(lock) || held.size === 0) return
    const guards = this.#guards.get(owner) ?? new Map(held)
    this.#guards.set(owner, guards)
    for (const [from, fromMode] of held) this.#note({ from, to: lock, fromMode, toMode: mode, owner, guards })
  }

  /** The owner got the lock. */
  acquired(owner: string, lock: string, mode: LockMode = "exclusive"): void {
    const held = this.#heldBy(owner)
    if (held.get(lock) === "exclusive") return
    held.set(lock, mode)
    this.#guards.delete(owner)
  }

  /** The owner released the lock. */
  released(owner: string, lock: string): void {
    if (this.#heldBy(owner).delete(lock)) this.#guards.delete(owner)
  }

  /** The locks that an owner holds, in the order in which it got them. */
  heldBy(owner: string): ReadonlyArray<string> {
    return [...this.#heldBy(owner).keys()]
  }

  /** All orders so far. */
  get orders(): ReadonlyArray<LockOrder> {
    return [...this.#orders.values()].flat()
  }

  /** False when there were more than 20,000 orders, so that a cycle may be missing. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Contradictory orders, one cycle per set of locks. */
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
        fromMode === order.fromMode && toMode === order.toMode && isSame(guards, order.guards)
    )
    if (!isNew || known.length >= ORDERS_OF_A_PAIR) return
    if (this.#orderCount >= MOST_ORDERS) this.#isComplete = false
    else {
      known.push(order)
      this.#orderCount++
    }
  }
}

const isSame = (a: ReadonlyMap<string, LockMode>, b: ReadonlyMap<string, LockMode>): boolean =>
  a === b || (a.size === b.size && [...a].every(([lock, mode]) => b.get(lock) === mode))
