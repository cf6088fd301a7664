import { Readable } from "node:stream"
import mysql, { type Connection, type ConnectionOptions, type RowDataPacket } from "mysql2/promise"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { eventually } from "../race/eventually.ts"
import { startServices, type SqlService } from "../services/index.ts"
import type { FaultProxy } from "./fault-proxy.ts"
import { faultProxy } from "./proxy.ts"

const database = "holdfast_faults"

describe("a fault proxy in front of MySQL or MariaDB", () => {
  let server: SqlService
  let direct: Connection
  let proxy: FaultProxy
  let clients: Array<Connection>
  let before: { readonly packet: number; readonly infile: number }
  let stop: () => Promise<void>

  beforeAll(async () => {
    const services = await startServices({ redis: false })
    server = services.sql
    stop = () => services.stop()
    await server.dropDatabase(database)
    await server.createDatabase(database)
    direct = await mysql.createConnection(settings(server.port))
    const [[globals]] = await direct.query<Array<RowDataPacket>>(
      "SELECT @@GLOBAL.max_allowed_packet AS packet, @@GLOBAL.local_infile AS files"
    )
    before = { packet: Number(globals?.["packet"]), infile: Number(globals?.["files"]) }
    await direct.query("SET GLOBAL max_allowed_packet = 67108864, GLOBAL local_infile = 1")
    await direct.query("CREATE TABLE stock (id INT PRIMARY KEY, units INT NOT NULL) ENGINE = InnoDB")
    await direct.query("CREATE TABLE big (id INT PRIMARY KEY, body LONGTEXT) ENGINE = InnoDB")
    await direct.query("CREATE PROCEDURE both_rows() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")
  }, 120_000)
  afterAll(async () => {
    await direct.query("SET GLOBAL max_allowed_packet = ?, GLOBAL local_infile = ?", [
      before.packet,
      before.infile
    ])
    await direct.end()
    await server.dropDatabase(database)
    await stop()
  })
  beforeEach(async () => {
    await direct.query("REPLACE INTO stock VALUES (1, 10), (2, 10)")
    await direct.query("DELETE FROM big")
    clients = []
    proxy = await faultProxy({ upstream: server, protocol: "mysql", seed: 7 })
  })
  afterEach(async () => {
    for (const client of clients) client.destroy()
    await proxy.close()
  })

  const settings = (port: number): ConnectionOptions => ({
    host: server.host,
    port,
    user: server.user,
    password: server.password,
    database
  })
  const client = async (options: ConnectionOptions = {}) => {
    const made = await mysql.createConnection({ ...settings(proxy.port), host: proxy.host, ...options })
    made.on("error", () => {})
    clients.push(made)
    return made
  }
  const units = async (id = 1) => {
    const [rows] = await direct.query<Array<RowDataPacket>>("SELECT units FROM stock WHERE id = ?", [id])
    return Number(rows[0]?.["units"])
  }
  const sell = async (sql: Connection) => {
    await sql.query("START TRANSACTION")
    await sql.query("UPDATE stock SET units = units - 1 WHERE id = 1")
    await sql.query("COMMIT")
  }
  /** True only when the proxy knows where every reply so far ended; otherwise it would have closed the connection. */
  const expectInStep = async (sql: Connection) => {
    const rule = proxy.cut({ when: "after", match: /in step/, timeoutMs: 3_000 })
    await expect(sql.query("SELECT 'in step'")).rejects.toMatchObject({ code: "PROTOCOL_CONNECTION_LOST" })
    expect((await rule.fired).command.text).toBe("SELECT 'in step'")
  }

  test("cuts after COMMIT: the sale is committed, the client gets an error", async () => {
    const rule = proxy.cut({ when: "after", match: /^COMMIT/i })
    await expect(sell(await client())).rejects.toMatchObject({ code: "PROTOCOL_CONNECTION_LOST" })
    expect(await rule.fired).toMatchObject({ command: { name: "COM_QUERY", verb: "COMMIT" } })
    expect(await units()).toBe(9)
  })

  test("cuts before COMMIT: the server rolls back", async () => {
    const rule = proxy.cut({ when: "before", match: /^COMMIT/i })
    await expect(sell(await client())).rejects.toMatchObject({ code: "PROTOCOL_CONNECTION_LOST" })
    await rule.fired
    await direct.query("UPDATE stock SET units = units + 0 WHERE id = 1") // Waits for the row lock of the cut connection.
    expect(await units()).toBe(10)
  })

  test("cuts before and after a single UPDATE, at the nth one", async () => {
    const update = "UPDATE stock SET units = units - 1 WHERE id = 1"
    const first = await client()
    proxy.cut({ when: "after", match: /update stock/i, nth: 2 })
    await first.query(update)
    await expect(first.query(update)).rejects.toThrow()
    expect(await units()).toBe(8)
    proxy.cut({ when: "before", match: /update stock/i })
    await expect((await client()).query(update)).rejects.toThrow()
    expect(await units()).toBe(8)
  })

  test("matches the SQL of a prepared statement when it runs, not when it is prepared", async () => {
    const update = "UPDATE stock SET units = units - ? WHERE id = ?"
    const sql = await client()
    const rule = proxy.cut({ when: "after", match: /^UPDATE stock/, nth: 3 })
    await sql.execute(update, [1, 1])
    await sql.execute("SELECT units FROM stock WHERE id = ?", [1])
    await sql.execute(update, [1, 1])
    await expect(sql.execute(update, [1, 1])).rejects.toMatchObject({ code: "PROTOCOL_CONNECTION_LOST" })
    expect(await rule.fired).toMatchObject({
      command: { name: "COM_STMT_EXECUTE", verb: "UPDATE", text: update }
    })
    expect(await units()).toBe(7)
    expect(proxy.count("UPDATE")).toBe(3)
    expect(proxy.count("COM_STMT_PREPARE")).toBe(2)
  })

  test("lets a function match the preparation, which a RegExp does not", async () => {
    const sql = await client()
    const rule = proxy.cut({ when: "before", match: (command) => command.name === "COM_STMT_PREPARE" })
    await expect(sql.execute("SELECT ? + 1", [1])).rejects.toThrow()
    await rule.fired
  })

  test("holds a COMMIT: other clients see the old row until it is released", async () => {
    const sql = await client()
    const before = proxy.hold({ when: "before", match: /^COMMIT/ })
    const sale = sell(sql)
    await before.fired
    expect(await units()).toBe(10)
    const after = proxy.hold({ when: "after", match: /^SELECT units/ })
    before.release()
    await sale
    expect(await units()).toBe(9)
    const reading = sql.query<Array<RowDataPacket>>("SELECT units FROM stock ORDER BY id")
    await after.fired
    after.release()
    const [rows] = await reading
    expect(rows).toEqual([{ units: 9 }, { units: 10 }])
  })

  test("freezes and thaws a login and a query", async () => {
    const sql = await client()
    proxy.freeze()
    const query = sql.query("UPDATE stock SET units = 5 WHERE id = 1")
    const login = client()
    expect(
      await Promise.race([query, login, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])
    ).toBe("silence")
    expect(await units()).toBe(10)
    proxy.thaw()
    await query
    await (await login).ping()
    expect(await units()).toBe(5)
  })

  test("closes the server's side only: the client waits, its transaction is rolled back", async () => {
    const sql = await client()
    await sql.query("START TRANSACTION")
    await sql.query("UPDATE stock SET units = 0 WHERE id = 1")
    proxy.halfOpen()
    const commit = sql.query("COMMIT").then(
      () => "committed",
      () => "closed"
    )
    await direct.query("UPDATE stock SET units = units + 1 WHERE id = 1")
    expect(await units()).toBe(11)
    expect(await Promise.race([commit, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])).toBe(
      "silence"
    )
  })

  describe("keeps track of", () => {
    test("rows, errors, several statements, several results and an empty one", async () => {
      const sql = await client({ multipleStatements: true })
      const [many] = await sql
        .query<Array<RowDataPacket>>("SELECT seq FROM seq_1_to_3000")
        .catch(() =>
          sql.query<Array<RowDataPacket>>(
            "WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 900) SELECT seq FROM n"
          )
        )
      expect(many.length).toBeGreaterThanOrEqual(900)
      await expect(sql.query("INSERT INTO stock VALUES (1, 1)")).rejects.toMatchObject({ errno: 1062 })
      await expect(sql.query("SELEC 1")).rejects.toMatchObject({ errno: 1064 })
      await expect(sql.query("SELECT 1; SELECT * FROM nowhere; SELECT 2")).rejects.toMatchObject({
        errno: 1146
      })
      const [results] = await sql.query("SELECT 1 AS a; UPDATE stock SET units = 3; SELECT 2 AS b, NULL AS c")
      expect(results).toMatchObject([[{ a: 1 }], { affectedRows: 2 }, [{ b: 2, c: null }]])
      const [called] = await sql.query("CALL both_rows()")
      expect(called).toMatchObject([[{ a: 1 }], [{ b: 2 }], {}])
      const [empty] = await sql.query("SELECT * FROM big")
      expect(empty).toEqual([])
      await expectInStep(sql)
    })

    test("prepared statements with and without parameters and columns, closed and failed ones", async () => {
      const sql = await client()
      await sql.execute("SELECT 1")
      await sql.execute("SELECT ?, ?, ?", [1, "two", null])
      await sql.execute("DO 1")
      await expect(sql.execute("SELECT nothing FROM nowhere")).rejects.toMatchObject({ errno: 1146 })
      await expect(sql.execute("INSERT INTO stock VALUES (?, 1)", [1])).rejects.toMatchObject({ errno: 1062 })
      const statement = await sql.prepare("SELECT ? AS n")
      const [rows] = await statement.execute([7])
      expect(rows).toEqual([{ n: 7 }])
      await statement.close()
      await sql.execute("CALL both_rows()")
      await expectInStep(sql)
    })

    test("commands that are not queries", async () => {
      const sql = await client()
      await sql.ping()
      await sql.changeUser({ database })
      await sql.beginTransaction()
      await sql.rollback()
      await sql.reset()
      expect(proxy.count("COM_PING")).toBe(1)
      expect(proxy.count("COM_CHANGE_USER")).toBe(1)
      await expectInStep(sql)
    })

    test("a file that the client sends", async () => {
      const sql = await client()
      await sql.query({
        sql: "LOAD DATA LOCAL INFILE 'big.csv' INTO TABLE big FIELDS TERMINATED BY ','",
        infileStreamFactory: () => Readable.from([Buffer.from("1,one\n"), Buffer.from("2,two\n")])
      })
      const [rows] = await direct.query("SELECT * FROM big ORDER BY id")
      expect(rows).toEqual([
        { id: 1, body: "one" },
        { id: 2, body: "two" }
      ])
      await expectInStep(sql)
    })

    test("packets of 16 MB and more in both directions, and one of exactly the limit", async () => {
      const sql = await client()
      const insert = (body: string) => `INSERT INTO big VALUES (1, '${body}')`
      // The payload is the command byte and the SQL; after 2^24 - 1 bytes an empty packet follows.
      const atLimit = "x".repeat(2 ** 24 - 2 - insert("").length)
      for (const body of [atLimit, "z".repeat(17_000_000)]) {
        await direct.query("DELETE FROM big")
        await sql.query(insert(body))
        const [rows] = await sql.query<Array<RowDataPacket>>("SELECT body FROM big")
        expect(rows[0]?.["body"] === body).toBe(true)
      }
      expect(proxy.count("INSERT")).toBe(2)
      // The second packet of this row begins with the first byte of an error packet.
      const [rows] = await sql.query<Array<RowDataPacket>>("SELECT REPEAT(UNHEX('FF'), 17000000) AS body")
      expect(Buffer.from(rows[0]?.["body"]).length).toBe(17_000_000)
      await expectInStep(sql)
    })
  })

  test("cuts after several statements only when the last one has run", async () => {
    const sql = await client({ multipleStatements: true })
    const rule = proxy.cut({ when: "after", match: /UPDATE stock/ })
    const selling = sql.query("SELECT 1; DO SLEEP(0.3); UPDATE stock SET units = 4 WHERE id = 1")
    await expect(selling).rejects.toMatchObject({ code: "PROTOCOL_CONNECTION_LOST" })
    await rule.fired
    expect(await units()).toBe(4)
  })

  test("counts by the first word of the SQL, after comments and parentheses", async () => {
    const sql = await client()
    await sql.query("/* from the checkout */ -- really\n (SELECT 1)")
    await sql.query("# note\nselect 2")
    await eventually(() => expect(proxy.count("SELECT")).toBe(2))
  })

  test("passes a refused login on and keeps working", async () => {
    await expect(client({ user: "nobody", password: "wrong" })).rejects.toMatchObject({
      errno: expect.any(Number)
    })
    await (await client()).ping()
  })
})
