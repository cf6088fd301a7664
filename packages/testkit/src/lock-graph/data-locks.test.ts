import { describe, expect, test } from "vitest"
import { locksOfDataLocks } from "./data-locks.ts"

/** Rows from MySQL's reference manual, section "The data_locks Table". */
describe("locksOfDataLocks", () => {
  const table = { trx: 30, id: "1:1063:2", threadId: 9, type: "TABLE", db: "x", tbl: "p", mode: "IX" }
  const row = {
    trx: 30,
    id: "1:2:4:5:6",
    threadId: 9,
    type: "RECORD",
    db: "x",
    tbl: "p",
    idx: "PRIMARY",
    data: "1",
    mode: "X,REC_NOT_GAP",
    status: "GRANTED"
  }

  test("reads record locks, but no table locks", () => {
    expect(locksOfDataLocks([table, row, { ...row, mode: "S", status: "WAITING" }])).toEqual([
      { threadId: 9, lock: "row `x`.`p` PRIMARY 1", mode: "exclusive", isWaiting: false },
      { threadId: 9, lock: "row `x`.`p` PRIMARY 1", mode: "shared", isWaiting: true }
    ])
  })

  test("omits gaps and the end of the index", () => {
    expect(locksOfDataLocks([{ ...row, mode: "X,GAP" }])).toEqual([])
    expect(locksOfDataLocks([{ ...row, mode: "X", data: "supremum pseudo-record" }])).toEqual([])
  })

  test("attributes a lock to its transaction, not to the thread that created it", () => {
    expect(locksOfDataLocks([table, { ...row, threadId: 10 }])).toMatchObject([{ threadId: 9 }])
  })

  test("names a record whose key is not in memory by its location", () => {
    expect(locksOfDataLocks([{ ...row, data: null }])).toMatchObject([
      { lock: "row `x`.`p` PRIMARY page 4 record 5" }
    ])
  })
})
