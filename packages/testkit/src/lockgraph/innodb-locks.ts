import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import type { SqlAddress } from "../explore/lock-waits.ts"
import type { LockMode } from "./lock-graph.ts"

/** A record lock of a transaction, held or waited for. */
export interface RowLock {
  /** The connection's number at the server. */
  readonly threadId: number
  /** ``row `shop`.`products` PRIMARY 80000001`` */
  readonly lock: string
  readonly mode: LockMode
  readonly isWaiting: boolean
}

/**
 * Reads the record locks that InnoDB's transactions hold, from performance_schema.data_locks of MySQL and from the
 * InnoDB monitor of MariaDB, which has no such table. Gap locks are left out: they exclude only inserts.
 *
 * MariaDB lists locks only while the global variable innodb_status_output_locks is on; it is turned on here.
 */
export class InnodbLocks {
  readonly #connection: Connection
  readonly #isMariadb: boolean

  /** @throws when the user lacks the privileges to read locks */
  static async connect({ host, port, user, password }: SqlAddress): Promise<InnodbLocks> {
    const connection = await createConnection({ host, port, user, password })
    const [rows] = await connection.query<Array<RowDataPacket>>("SELECT VERSION() AS version")
    const isMariadb = /mariadb/i.test(String(rows[0]?.["version"]))
    if (isMariadb) await connection.query("SET GLOBAL innodb_status_output_locks = ON")
    return new InnodbLocks(connection, isMariadb)
  }

  private constructor(connection: Connection, isMariadb: boolean) {
    this.#connection = connection
    this.#isMariadb = isMariadb
    // A server that dies fails the next query; without a listener it would end the process.
    connection.on("error", () => {})
  }

  async read(): Promise<ReadonlyArray<RowLock>> {
    if (this.#isMariadb) {
      const [rows] = await this.#connection.query<Array<RowDataPacket>>("SHOW ENGINE INNODB STATUS")
      return locksOfMonitor(String(rows[0]?.["Status"]))
    }
    const [rows] = await this.#connection.query<Array<RowDataPacket>>(
      `SELECT t.PROCESSLIST_ID AS threadId, l.OBJECT_SCHEMA AS db, l.OBJECT_NAME AS tbl, l.INDEX_NAME AS idx,
        l.LOCK_DATA AS data, l.LOCK_MODE AS mode, l.LOCK_STATUS AS status
      FROM performance_schema.data_locks l JOIN performance_schema.threads t ON t.THREAD_ID = l.THREAD_ID
      WHERE l.LOCK_TYPE = 'RECORD'`
    )
    return rows.flatMap(locksOfRow)
  }

  close(): void {
    this.#connection.destroy()
  }
}

/** Record locks in the text of MariaDB's InnoDB monitor. */
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
 * The key of a record: all its fields, but in the primary index only those before the transaction's number and the
 * roll pointer, which are six and seven bytes long. The record behind the last one has no key.
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

/** A row of performance_schema.data_locks. */
export const locksOfRow = (row: Readonly<Record<string, unknown>>): Array<RowLock> => {
  const mode = String(row["mode"])
  const key = row["data"]
  const isGap = mode.split(",").includes("GAP")
  if (isGap || typeof key !== "string" || key.startsWith("supremum")) return []
  return [
    {
      threadId: Number(row["threadId"]),
      lock: `row \`${String(row["db"])}\`.\`${String(row["tbl"])}\` ${String(row["idx"])} ${key}`,
      mode: mode.startsWith("S") ? "shared" : "exclusive",
      isWaiting: row["status"] === "WAITING"
    }
  ]
}
