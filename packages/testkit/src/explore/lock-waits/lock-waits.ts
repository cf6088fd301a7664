import type { SqlAddress } from "../../services/service.ts"
import { SqlObserver } from "../sql-observer.ts"
import type { LockDialect, WaitReport } from "./dialect.ts"
import { mariadbLocks } from "./mariadb-locks.ts"
import { mysqlLocks } from "./mysql-locks.ts"

/** Reports which connections of a MySQL or MariaDB server wait for a lock. */
export class LockWaits {
  readonly #observer: SqlObserver
  readonly #dialect: LockDialect

  private constructor(observer: SqlObserver) {
    this.#observer = observer
    this.#dialect = observer.flavour === "mariadb" ? mariadbLocks : mysqlLocks
  }

  /** @throws as {@link SqlObserver.connect} */
  static async connect(address: SqlAddress): Promise<LockWaits> {
    return new LockWaits(await SqlObserver.connect(address))
  }

  get knowsDeadlocks(): boolean {
    return this.#dialect.knowsDeadlocks
  }

  report(): Promise<WaitReport> {
    return this.#dialect.report(this.#observer)
  }

  /**
   * Resolves when the server has ended these connections and rolled their transactions back.
   *
   * @throws Error at the deadline
   */
  async untilGone(threadIds: ReadonlyArray<number>, deadlineMs: number): Promise<void> {
    if (threadIds.length === 0) return
    const startedAtMs = performance.now()
    for (;;) {
      const left = await this.#observer.query(this.#dialect.stillThere, [threadIds])
      if (left.length === 0) return
      if (performance.now() - startedAtMs > deadlineMs) {
        throw new Error(
          `The SQL server still has connections ${threadIds.join(", ")} after ${deadlineMs} ms.`
        )
      }
    }
  }

  close(): void {
    this.#observer.close()
  }
}
