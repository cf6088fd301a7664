import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"

/** How to reach the SQL server with the privilege PROCESS. */
export interface SqlAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

/**
 * Knows which connections of a MySQL or MariaDB server wait for a lock.
 *
 * Row locks are read from the InnoDB monitor: unlike information_schema.INNODB_TRX it is never up to 100 ms old, and
 * unlike performance_schema.data_lock_waits MariaDB has it too. Locks of GET_LOCK and metadata locks show in the
 * process list.
 */
export class LockWaits {
  readonly #connection: Connection
  /**
   * MariaDB looks for a deadlock before a statement begins to wait, MySQL 8 and later has a thread do it soon after:
   * there a wait may end by itself.
   */
  readonly findsDeadlocksAtOnce: boolean

  private constructor(connection: Connection, version: string) {
    this.#connection = connection
    this.findsDeadlocksAtOnce = /mariadb/i.test(version)
    // A server that dies fails the next query; without a listener it would end the process.
    connection.on("error", () => {})
  }

  static async connect({ host, port, user, password }: SqlAddress): Promise<LockWaits> {
    const connection = await createConnection({ host, port, user, password })
    const [rows] = await connection.query<Array<RowDataPacket>>("SELECT VERSION() AS version")
    return new LockWaits(connection, String(rows[0]?.["version"]))
  }

  /** The threads that wait for a row lock, a named lock or a metadata lock. */
  async waitingThreads(): Promise<ReadonlySet<number>> {
    const rowWaits = rowLockWaits(await this.monitor())
    if (rowWaits.size > 0) return rowWaits
    const [rows] = await this.#connection.query<Array<RowDataPacket>>(
      "SELECT ID AS id FROM information_schema.PROCESSLIST " +
        "WHERE STATE = 'User lock' OR STATE LIKE 'Waiting for%metadata lock'"
    )
    return new Set(rows.map((row) => Number(row["id"])))
  }

  /** The text of the InnoDB monitor. */
  async monitor(): Promise<string> {
    const [rows] = await this.#connection.query<Array<RowDataPacket>>("SHOW ENGINE INNODB STATUS")
    return String(rows[0]?.["Status"])
  }

  /** Resolves when the server has ended these connections and rolled their transactions back. */
  async untilGone(threadIds: ReadonlyArray<number>, deadlineMs: number): Promise<void> {
    if (threadIds.length === 0) return
    const startedAtMs = performance.now()
    for (;;) {
      const [rows] = await this.#connection.query<Array<RowDataPacket>>(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE ID IN (?)",
        [threadIds]
      )
      if (rows.length === 0) return
      if (performance.now() - startedAtMs > deadlineMs) {
        throw new Error(
          `The SQL server still has connections ${threadIds.join(", ")} after ${deadlineMs} ms.`
        )
      }
    }
  }

  close(): void {
    this.#connection.destroy()
  }
}

/** Every transaction of the monitor begins with `---TRANSACTION`, says LOCK WAIT if it waits, and names its thread. */
const rowLockWaits = (monitor: string): Set<number> => {
  const waiting = new Set<number>()
  for (const transaction of monitor.split("---TRANSACTION").slice(1)) {
    const thread = /^(?:MySQL|MariaDB) thread id (\d+)/m.exec(transaction)?.[1]
    if (thread !== undefined && /^LOCK WAIT/m.test(transaction)) waiting.add(Number(thread))
  }
  return waiting
}
