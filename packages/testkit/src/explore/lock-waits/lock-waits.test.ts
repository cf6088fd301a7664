import { createConnection, type Connection } from "mysql2/promise"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { eventually } from "../../race/eventually.ts"
import { startServices, type Services } from "../../services/index.ts"
import { LockWaits } from "./lock-waits.ts"

let services: Omit<Services, "redis">
let lockWaits: LockWaits
let admin: Connection
let first: Connection
let second: Connection

beforeAll(async () => {
  services = await startServices({ redis: false })
  await services.sql.createDatabase("waits")
  lockWaits = await LockWaits.connect(services.sql)
  admin = await connect()
  await admin.query("CREATE TABLE items (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB")
  await admin.query("INSERT INTO items VALUES (1, 5), (2, 5)")
})
afterAll(async () => {
  lockWaits.close()
  admin.destroy()
  await services.stop()
})
beforeEach(async () => {
  first = await connect()
  second = await connect()
})
afterEach(() => {
  first.destroy()
  second.destroy()
})

const connect = async () => {
  const connection = await createConnection({ uri: services.sql.url("waits") })
  // Ends the cycle that the server does not detect.
  await connection.query("SET SESSION innodb_lock_wait_timeout = 1")
  return connection
}

const lockRow = (connection: Connection, id: number) =>
  connection.query("SELECT stock FROM items WHERE id = ? FOR UPDATE", [id])

/** The report, once it contains that many waiting connections. */
const reportOf = (waiting: number) =>
  eventually(async () => {
    const report = await lockWaits.report()
    expect(report.waiting.size).toBe(waiting)
    return report
  })

describe("the report of lock waits", () => {
  test("contains waits for rows and for names", async () => {
    await first.beginTransaction()
    await lockRow(first, 1)
    await first.query("SELECT GET_LOCK('sale', 10)")
    await second.beginTransaction()
    const waiting = [lockRow(second, 1), admin.query("SELECT GET_LOCK('sale', 10)")]
    const { waiting: threads } = await reportOf(2)
    expect(threads).toEqual(new Set([second.threadId, admin.threadId]))
    await first.query("SELECT RELEASE_LOCK('sale')")
    await first.rollback()
    await Promise.all(waiting)
    expect((await lockWaits.report()).waiting).toEqual(new Set())
    await admin.query("SELECT RELEASE_LOCK('sale')")
  })

  test("marks a cycle that the server has not found yet as deadlocked, where the server exposes it", async () => {
    await admin.query("SET GLOBAL innodb_deadlock_detect = OFF")
    try {
      await first.beginTransaction()
      await second.beginTransaction()
      await lockRow(first, 1)
      await lockRow(second, 2)
      const waiting = [lockRow(first, 2), lockRow(second, 1)]
      const { waiting: threads, deadlocked } = await reportOf(2)
      expect(deadlocked).toEqual(lockWaits.knowsDeadlocks ? threads : new Set())
      expect(lockWaits.knowsDeadlocks).toBe(services.sql.flavour === "mysql")
      await Promise.allSettled(waiting)
    } finally {
      await admin.query("SET GLOBAL innodb_deadlock_detect = ON")
    }
  })
})
