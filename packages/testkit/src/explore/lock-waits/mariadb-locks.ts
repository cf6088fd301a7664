import type { SqlRow } from "../../services/service.ts"
import { innodbMonitor } from "../innodb-monitor.ts"
import type { LockDialect } from "./dialect.ts"

/**
 * Reads MariaDB's row lock waits from the InnoDB monitor, because information_schema.INNODB_TRX may be 100 ms old, and
 * waits for named and metadata locks from the process list, in one round trip.
 *
 * A connection is listed as waiting shortly before it checks for a deadlock.
 */
export const mariadbLocks: LockDialect = {
  knowsDeadlocks: false,
  report: async (observer) => {
    const [[monitor], named] = await observer.query<[Array<SqlRow>, Array<SqlRow>]>(
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

/** In the monitor, a transaction begins with `---TRANSACTION`, has LOCK WAIT if it waits, and names its thread. */
const rowLockWaits = (monitor: string): Set<number> => {
  const waiting = new Set<number>()
  for (const transaction of monitor.split("---TRANSACTION").slice(1)) {
    const thread = /^MariaDB thread id (\d+)/m.exec(transaction)?.[1]
    if (thread !== undefined && /^LOCK WAIT/m.test(transaction)) waiting.add(Number(thread))
  }
  return waiting
}
