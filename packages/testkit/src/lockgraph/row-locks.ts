import type { InnodbLocks } from "./innodb-locks.ts"
import type { LockGraph } from "./lock-graph.ts"
import type { RowLock } from "./row-lock.ts"

/** Whose connections they are. */
export interface SqlClient {
  readonly owner: string
  /** The SQL server's numbers of its connections. */
  readonly threadIds: ReadonlyArray<number>
}

/** Brings a {@link LockGraph} up to date with the row locks that clients hold and wait for. */
export class RowLocks {
  readonly #graph: LockGraph
  readonly #innodb: InnodbLocks

  constructor(graph: LockGraph, innodb: InnodbLocks) {
    this.#graph = graph
    this.#innodb = innodb
  }

  /** Notes what clients took and gave back since the last look: what is new came after what was held before. */
  async observe(clients: ReadonlyArray<SqlClient>): Promise<void> {
    const locks = await this.#innodb.read()
    for (const { owner, threadIds } of clients) {
      this.#update(
        owner,
        locks.filter(({ threadId }) => threadIds.includes(threadId))
      )
    }
  }

  /** Locks that one statement took have no order among each other: InnoDB takes them in the order of the index. */
  #update(owner: string, locks: ReadonlyArray<RowLock>): void {
    const granted = locks.filter(({ isWaiting }) => !isWaiting)
    const present = new Set(granted.map(({ lock }) => lock))
    for (const lock of this.#graph.heldBy(owner)) {
      if (lock.startsWith("row ") && !present.has(lock)) this.#graph.released(owner, lock)
    }
    for (const { lock, mode } of locks) this.#graph.requests(owner, lock, mode)
    for (const { lock, mode } of granted) this.#graph.acquired(owner, lock, mode)
  }
}
