import type { InnodbLocks } from "./innodb-locks.ts"
import type { LockGraph } from "./lock-graph.ts"
import type { RowLock } from "./lock.ts"

/** A client and its connections. */
interface SqlClient {
  readonly owner: string
  /** The numbers of its connections at the SQL server. */
  readonly threadIds: ReadonlyArray<number>
}

/** Updates a {@link LockGraph} with the row locks that clients hold and wait for. */
export class RowLocks {
  readonly #graph: LockGraph
  readonly #innodb: InnodbLocks

  constructor(graph: LockGraph, innodb: InnodbLocks) {
    this.#graph = graph
    this.#innodb = innodb
  }

  /** Records which locks clients took and released since the last call. New locks came after those held before. */
  async observe(clients: ReadonlyArray<SqlClient>): Promise<void> {
    const locks = await this.#innodb.read()
    for (const { owner, threadIds } of clients) {
      this.#update(
        owner,
        locks.filter(({ threadId }) => threadIds.includes(threadId))
      )
    }
  }

  /**
   * Locks of one statement have no order among each other, because what InnoDB lists does not tell it. Only the lock that
   * the statement waits for comes after those that it got.
   */
  #update(owner: string, locks: ReadonlyArray<RowLock>): void {
    const granted = locks.filter(({ isWaiting }) => !isWaiting)
    const present = new Set(granted.map(({ lock }) => lock))
    for (const lock of this.#graph.heldBy(owner)) {
      if (lock.startsWith("row ") && !present.has(lock)) this.#graph.released(owner, lock)
    }
    for (const { lock, mode } of granted) this.#graph.requests(owner, lock, mode)
    for (const { lock, mode } of granted) this.#graph.acquired(owner, lock, mode)
    for (const { lock, mode, isWaiting } of locks) if (isWaiting) this.#graph.requests(owner, lock, mode)
  }
}
