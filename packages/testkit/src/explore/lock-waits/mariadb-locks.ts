import type { RowDataPacket } from "mysql2/promise"
import { innodbMonitor } from "../innodb-monitor.ts"
import type { LockDialect } from "./dialect.ts"

/**
 * MariaDB's row locks are read from the InnoDB monitor, which unlike information_schema.INNODB_TRX is never up to 100 ms
 * old; locks of GET_LOCK and metadata locks show in the process list. One round trip asks for both.
 *
 * Whoever waits has looked for a deadlock before it sleeps, but is listed as waiting a moment earlier.
 */
export const mariadbLocks: LockDialect = {
  knowsDeadlocks: false,
  report: async (observer) => {
    const [[monitor], named] = await observer.query<[Array<RowDataPacket>, Array<RowDataPacket>]>(
      "SHOW ENGINE INNODB STATUS; " +
        "SELECT ID AS thread FROM information_schema.PROCESSLIST " +
        "WHERE STATE = 'User lock' OR STATE LIKE 'Waiting for%metadata lock'"
    )
    const waiting = rowLockWaits(innodbMonitor(monitor))
    for (const row of named) waiting.add(Number(row["thread"]))
    return { waiting, deadlocked: new Set() }
  },
  stillThere: "SELECT ID FROM information_schema.PROCESSLIST WHERE ID IN (?)"
}

/** Every transaction of the monitor begins with `---TRANSACTION`, says LOCK WAIT if it waits, and names its thread. */
const rowLockWaits = (monitor: string): Set<number> => {
  const waiting = new Set<number>()
  for (const transaction of monitor.split("---TRANSACTION").slice(1)) {
    const thread = /^MariaDB thread id (\d+)/m.exec(transaction)?.[1]
    if (thread !== undefined && /^LOCK WAIT/m.test(transaction)) waiting.add(Number(thread))
  }
  return waiting
}
