import { describe, expect, test } from "vitest"
import { locksOfMonitor } from "./monitor-locks.ts"

describe("locksOfMonitor", () => {
  const monitor = `LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION 30, ACTIVE 1 sec starting index read
LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)
MariaDB thread id 7, OS thread handle 139917824206528, query id 17 127.0.0.1 holdfast Updating
UPDATE x.p SET stock=1 WHERE id=1
TABLE LOCK table \`x\`.\`p\` trx id 30 lock mode IX
RECORD LOCKS space id 5 page no 3 n bits 320 index PRIMARY of table \`x\`.\`p\` trx id 30 lock_mode X locks rec but not gap waiting
Record lock, heap no 2 PHYSICAL RECORD: n_fields 5; compact format; info bits 0
 0: len 4; hex 80000001; asc     ;;
 1: len 6; hex 00000000001d; asc       ;;
 2: len 7; hex 09000001390110; asc     9  ;;
 3: len 1; hex 61; asc a;;

---TRANSACTION 29, ACTIVE 1 sec
MariaDB thread id 6, OS thread handle 139917824820928, query id 15 127.0.0.1 holdfast
RECORD LOCKS space id 5 page no 4 n bits 320 index sku of table \`x\`.\`p\` trx id 29 lock mode S
Record lock, heap no 1 PHYSICAL RECORD: n_fields 1; compact format; info bits 0
 0: len 8; hex 73757072656d756d; asc supremum;;

Record lock, heap no 3 PHYSICAL RECORD: n_fields 2; compact format; info bits 0
 0: SQL NULL;
 1: len 4; hex 80000002; asc     ;;

RECORD LOCKS space id 5 page no 4 n bits 320 index sku of table \`x\`.\`p\` trx id 29 lock_mode X locks gap before rec
Record lock, heap no 4 PHYSICAL RECORD: n_fields 2; compact format; info bits 0
 0: len 1; hex 63; asc c;;
 1: len 4; hex 80000003; asc     ;;
`

  test("reads records by their key, with mode and wait state, and no gaps", () => {
    expect(locksOfMonitor(monitor)).toEqual([
      { threadId: 7, lock: "row `x`.`p` PRIMARY 80000001", mode: "exclusive", isWaiting: true },
      { threadId: 6, lock: "row `x`.`p` sku NULL,80000002", mode: "shared", isWaiting: false }
    ])
  })
})
