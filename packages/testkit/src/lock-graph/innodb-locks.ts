import { innodbMonitor } from "../explore/innodb-monitor.ts"
import { SqlObserver } from "../explore/sql-observer.ts"
import type { SqlAddress } from "../services/service.ts"
import { locksOfDataLocks, SELECT_DATA_LOCKS } from "./data-locks.ts"
import type { RowLock } from "./lock.ts"
import { locksOfMonitor } from "./monitor-locks.ts"

/**
 * Reads the record locks of InnoDB's transactions, from performance_schema.data_locks on MySQL and from the InnoDB
 * monitor on MariaDB, which has no such table. Gap locks are omitted, because they exclude only inserts.
 *
 * MariaDB lists locks only while the global variable innodb_status_output_locks is on, so `connect` turns it on.
 */
export class InnodbLocks {
  readonly #observer: SqlObserver

  private constructor(observer: SqlObserver) {
    this.#observer = observer
  }

  /** @throws Error when the user lacks the privileges to read locks */
  static async connect(address: SqlAddress): Promise<InnodbLocks> {
    const observer = await SqlObserver.connect(address)
    try {
      if (observer.flavour === "mariadb") await observer.query("SET GLOBAL innodb_status_output_locks = ON")
      return new InnodbLocks(observer)
    } catch (error) {
      observer.close()
      throw error
    }
  }

  async read(): Promise<ReadonlyArray<RowLock>> {
    if (this.#observer.flavour === "mysql")
      return locksOfDataLocks(await this.#observer.query(SELECT_DATA_LOCKS))
    const [row] = await this.#observer.query("SHOW ENGINE INNODB STATUS")
    return locksOfMonitor(innodbMonitor(row))
  }

  close(): void {
    this.#observer.close()
  }
}
