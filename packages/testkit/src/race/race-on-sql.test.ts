import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { startServices, type SqlService } from "../services/index.ts"
import { crashAt } from "./crash-at.ts"
import { interleave } from "./interleave.ts"
import type { StepPoints } from "./steps.ts"

const database = "holdfast_race"

describe("interleave and crashAt on a real SQL server", () => {
  let server: SqlService
  let one: Connection
  let other: Connection
  let stop: () => Promise<void>

  beforeAll(async () => {
    const services = await startServices({ redis: false })
    server = services.sql
    stop = () => services.stop()
    await server.dropDatabase(database)
    await server.createDatabase(database)
    one = await createConnection(server.url(database))
    other = await createConnection(server.url(database))
    await one.query("CREATE TABLE stock (id INT PRIMARY KEY, units INT NOT NULL) ENGINE = InnoDB")
  }, 120_000)
  afterAll(async () => {
    await Promise.all([one.end(), other.end()])
    await server.dropDatabase(database)
    await stop()
  })
  beforeEach(() => one.query("REPLACE INTO stock VALUES (1, 10)"))

  const units = async (sql: Connection, lock = "") => {
    const [rows] = await sql.query<Array<RowDataPacket>>(`SELECT units FROM stock WHERE id = 1 ${lock}`)
    return Number(rows[0]?.["units"])
  }
  /** Reads, then writes what it computed: wrong when another write happens in between. */
  const sell = async (sql: Connection, lock: string, steps?: StepPoints) => {
    await sql.beginTransaction()
    const left = await units(sql, lock)
    await steps?.reached("read")
    await sql.query("UPDATE stock SET units = ? WHERE id = 1", [left - 1])
    await sql.commit()
  }

  test("reproduces a lost update every time", async () => {
    for (let round = 0; round < 10; round += 1) {
      await one.query("REPLACE INTO stock VALUES (1, 10)")
      const { main, injected } = await interleave((steps) => sell(one, "", steps), {
        before: { read: () => sell(other, "") }
      })
      expect([main.status, injected["read"]?.status]).toEqual(["fulfilled", "fulfilled"])
      expect(await units(one)).toBe(9)
    }
  })

  test("lets the other side block on the row lock, and keeps both sales", async () => {
    const { main, injected } = await interleave((steps) => sell(one, "FOR UPDATE", steps), {
      alongside: { read: () => sell(other, "FOR UPDATE") }
    })
    expect([main.status, injected["read"]?.status]).toEqual(["fulfilled", "fulfilled"])
    expect(await units(one)).toBe(8)
  })

  test("crashes a process before and after its COMMIT, and restarts it", async () => {
    const module = new URL("./testing/selling-program.ts", import.meta.url)
    await using before = crashAt("beforeCommit", { module, env: { SELLING_URL: server.url(database) } })
    await before.died
    // Waits until the server has noticed the crash and released the row lock.
    expect(await units(one, "FOR UPDATE")).toBe(10)

    await using after = await before.crashAgain("afterCommit")
    expect((await after.died).passed).toEqual(["beforeCommit", "afterCommit"])
    expect(await units(one)).toBe(9)

    await using again = await after.again()
    expect(await again.exited).toMatchObject({ code: 0, stdout: "sold\n" })
    expect(await units(one)).toBe(8)
  })
})
