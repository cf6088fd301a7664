import type { RowLock } from "./row-lock.ts"

/** The columns that {@link locksOfDataLocks} needs, of all locks: those of tables tell whose a transaction is. */
export const SELECT_DATA_LOCKS = `SELECT l.ENGINE_TRANSACTION_ID AS trx, l.ENGINE_LOCK_ID AS id, t.PROCESSLIST_ID AS threadId,
    l.LOCK_TYPE AS type, l.OBJECT_SCHEMA AS db, l.OBJECT_NAME AS tbl, l.INDEX_NAME AS idx, l.LOCK_DATA AS data,
    l.LOCK_MODE AS mode, l.LOCK_STATUS AS status
  FROM performance_schema.data_locks l LEFT JOIN performance_schema.threads t ON t.THREAD_ID = l.THREAD_ID`

type DataLock = Readonly<Record<string, unknown>>

/**
 * Record locks in rows of MySQL's performance_schema.data_locks.
 *
 * The thread of a record lock is not always its owner's: who meets a row that was just inserted makes the lock that its
 * inserter has by right. Locks of tables are made by their owners alone, and every transaction has one before it has
 * any record.
 */
export const locksOfDataLocks = (rows: ReadonlyArray<DataLock>): ReadonlyArray<RowLock> => {
  const owners = new Map(
    rows.filter(({ type }) => type === "TABLE").map(({ trx, threadId }) => [String(trx), Number(threadId)])
  )
  return rows.flatMap((row) => {
    const threadId = owners.get(String(row["trx"])) ?? Number(row["threadId"])
    return row["type"] === "RECORD" ? locksOfRecord(row, threadId) : []
  })
}

const locksOfRecord = (row: DataLock, threadId: number): Array<RowLock> => {
  const mode = String(row["mode"])
  const key = keyOf(row)
  if (mode.split(",").includes("GAP") || key.startsWith("supremum")) return []
  return [
    {
      threadId,
      lock: `row \`${String(row["db"])}\`.\`${String(row["tbl"])}\` ${String(row["idx"])} ${key}`,
      mode: mode.startsWith("S") ? "shared" : "exclusive",
      isWaiting: row["status"] === "WAITING"
    }
  ]
}

/**
 * The record's key, or its place when its page is not in memory. A lock's identifier is transaction, tablespace, page,
 * record and lock.
 */
const keyOf = ({ data, id }: DataLock): string => {
  if (typeof data === "string") return data
  const [, , page = "?", record = "?"] = String(id).split(":")
  return `page ${page} record ${record}`
}
