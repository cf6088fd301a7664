/**
 * How a lock is held. Two shared locks do not exclude each other. One slot of several is counted: its next holder may have
 * to wait, but two may hold one at once, so it protects nothing.
 */
export type LockMode = "shared" | "exclusive" | "counted"

/** An owner that held the lock `from` requested the lock `to`. */
export interface LockOrder {
  readonly from: string
  readonly to: string
  readonly fromMode: LockMode
  readonly toMode: LockMode
  readonly owner: string
  /** All locks that the owner held. Two orders under locks that exclude each other never meet. */
  readonly guards: ReadonlyMap<string, LockMode>
}

/** A record lock of a transaction, held or waited for. */
export interface RowLock {
  /** The number of the connection at the server. */
  readonly threadId: number
  /** ``row `shop`.`products` PRIMARY 80000001`` on MariaDB, ``row `shop`.`products` PRIMARY 1`` on MySQL. */
  readonly lock: string
  readonly mode: LockMode
  readonly isWaiting: boolean
}
