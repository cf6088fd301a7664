import type { RowLock } from "./lock.ts"

/** Selects the columns that {@link locksOfDataLocks} needs; table locks identify the owner of a transaction. */
export const SELECT_DATA_LOCKS = `SELECT l.ENGINE_TRANSACTION_ID AS trx, l.ENGINE_LOCK_ID AS id, t.PROCESSLIST_ID AS threadId,
    l.LOCK_TYPE AS type, l.OBJECT_SCHEMA AS db, l.OBJECT_NAME AS tbl, l.INDEX_NAME AS idx, l.LOCK_DATA AS data,
    l.LOCK_MODE AS mode, l.LOCK_STATUS AS status
  FROM performance_schema.data_locks l LEFT JOIN performance_schema.threads t ON t.THREAD_ID = l.THREAD_ID`

type DataLock = Readonly<Record<string, unknown>>

/**
 * The record locks in rows of MySQL's performance_schema.data_locks.
 *
 * The thread of a record lock is not always its owner's: the first connection that meets a newly inserted row creates
 * the lock on behalf of its inserter. Table locks always belong to their thread, and every transaction takes one before
 * any record lock.
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
 * The record's key, or its location when its page is not in memory. The identifier of a lock consists of transaction,
 * tablespace, page, record and lock.
 */
const keyOf = ({ data, id }: DataLock): string => {
  if (typeof data === "string") return data
  const [, , page = "?", record = "?"] = String(id).split(":")
  return `page ${page} record ${record}`
}
