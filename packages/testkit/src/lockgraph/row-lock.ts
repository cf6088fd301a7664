import type { LockMode } from "./lock-graph.ts"

/** A record lock of a transaction, held or waited for. */
export interface RowLock {
  /** The connection's number at the server. */
  readonly threadId: number
  /** ``row `shop`.`products` PRIMARY 80000001`` on MariaDB, ``row `shop`.`products` PRIMARY 1`` on MySQL */
  readonly lock: string
  readonly mode: LockMode
  readonly isWaiting: boolean
}
