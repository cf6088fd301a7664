import { describe, expect, it } from "vitest"
import { locksOfDataLocks } from "./data-locks.ts"

/** Rows as MySQL's reference manual shows them, section "The data_locks Table". */
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

  it("reads record locks, and none of tables", () => {
    expect(locksOfDataLocks([table, row, { ...row, mode: "S", status: "WAITING" }])).toEqual([
      { threadId: 9, lock: "row `x`.`p` PRIMARY 1", mode: "exclusive", isWaiting: false },
      { threadId: 9, lock: "row `x`.`p` PRIMARY 1", mode: "shared", isWaiting: true }
    ])
  })

  it("leaves out gaps and the end of the index", () => {
    expect(locksOfDataLocks([{ ...row, mode: "X,GAP" }])).toEqual([])
    expect(locksOfDataLocks([{ ...row, mode: "X", data: "supremum pseudo-record" }])).toEqual([])
  })

  it("gives a lock to its transaction, not to who made it", () => {
    expect(locksOfDataLocks([table, { ...row, threadId: 10 }])).toMatchObject([{ threadId: 9 }])
  })

  it("names a record whose key is not in memory by its place", () => {
    expect(locksOfDataLocks([{ ...row, data: null }])).toMatchObject([
      { lock: "row `x`.`p` PRIMARY page 4 record 5" }
    ])
  })
})
