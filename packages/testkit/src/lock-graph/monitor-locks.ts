import type { RowLock } from "./lock.ts"

/** The record locks in the text of MariaDB's InnoDB monitor. */
export const locksOfMonitor = (monitor: string): ReadonlyArray<RowLock> =>
  monitor
    .split("---TRANSACTION")
    .slice(1)
    .flatMap((transaction) => {
      const threadId = Number(/^(?:MySQL|MariaDB) thread id (\d+)/m.exec(transaction)?.[1])
      const blocks = transaction.split(/^RECORD LOCKS /m).slice(1)
      return Number.isNaN(threadId) ? [] : blocks.flatMap((block) => locksOfBlock(threadId, block))
    })

const locksOfBlock = (threadId: number, block: string): ReadonlyArray<RowLock> => {
  const [, index, table, mode, kind = ""] =
    /index (\S+) of table (\S+) trx id \d+ lock[_ ]mode (\S+)([^\n]*)/.exec(block) ?? []
  if (index === undefined || table === undefined || kind.includes("gap before rec")) return []
  const records = block.split(/^Record lock, /m).slice(1)
  return records.flatMap((record): Array<RowLock> => {
    const key = keyOf(record, index)
    if (key === undefined) return []
    return [
      {
        threadId,
        lock: `row ${table} ${index} ${key}`,
        mode: mode === "S" ? "shared" : "exclusive",
        isWaiting: kind.includes("waiting")
      }
    ]
  })
}

/**
 * The key of a record: all its fields, or in the primary index those before the transaction number and the roll pointer,
 * which are six and seven bytes long. The supremum record has no key.
 */
const keyOf = (record: string, index: string): string | undefined => {
  const fields = Array.from(record.matchAll(/^ \d+: (?:len (\d+); hex ([0-9a-f]*)|SQL NULL)/gm), (field) => ({
    length: Number(field[1]),
    hex: field[2] ?? "NULL"
  }))
  if (record.includes("asc supremum;")) return undefined
  const hidden = fields.findIndex(({ length }, at) => length === 6 && fields[at + 1]?.length === 7)
  const key = index === "PRIMARY" && hidden > 0 ? fields.slice(0, hidden) : fields
  return key.length === 0 ? undefined : key.map(({ hex }) => hex).join(",")
}
