import type { LockWaits } from "./lock-waits/lock-waits.ts"

/**
 * Cut connections to the SQL server, until the server has ended them and released their locks. It ends a connection
 * whose statement waits for a lock only after granting that lock.
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

  /** Waits for the end of connections that do not wait for locks. Resolves with whether there were any. */
  async untilEnded(): Promise<boolean> {
    if (this.#lockWaits === undefined || this.#threadIds.size === 0) return false
    const { waiting } = await this.#lockWaits.report()
    const ending = [...this.#threadIds].filter((threadId) => !waiting.has(threadId))
    await this.#lockWaits.untilGone(ending, this.#deadlineMs)
    for (const threadId of ending) this.#threadIds.delete(threadId)
    return ending.length > 0
  }
}
