import type { LockWaits } from "./lock-waits/lock-waits.ts"

/**
 * Connections to the SQL server that were cut, until the server has ended them too and given back their locks. One whose
 * statement waits for a lock is ended only when it has got it.
 */
export class CutConnections {
  readonly #lockWaits: LockWaits | undefined
  readonly #deadlineMs: number
  readonly #threadIds = new Set<number>()

  constructor(lockWaits: LockWaits | undefined, deadlineMs: number) {
    this.#lockWaits = lockWaits
    this.#deadlineMs = deadlineMs
  }

  add(threadIds: Iterable<number>): void {
    for (const threadId of threadIds) this.#threadIds.add(threadId)
  }

  /** Waits for those that do not wait themselves. Whether there were any, so that others may have got their locks. */
  async untilEnded(): Promise<boolean> {
    if (this.#lockWaits === undefined || this.#threadIds.size === 0) return false
    const { waiting } = await this.#lockWaits.report()
    const ending = [...this.#threadIds].filter((threadId) => !waiting.has(threadId))
    await this.#lockWaits.untilGone(ending, this.#deadlineMs)
    for (const threadId of ending) this.#threadIds.delete(threadId)
    return ending.length > 0
  }
}
