import { contract } from "@holdfast/domain"
import { eventually, startServices } from "@holdfast/testkit"
import { Effect, Exit, Redacted } from "effect"
import { sql } from "kysely"
import type { RowDataPacket } from "mysql2"
import { createPool } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { allowTable } from "../../../test/least-privilege.ts"
import { Shop } from "../../../test/shop.ts"
import type { App } from "../../app.ts"
import { db } from "./database.ts"
import { DatabaseUnavailable, sqlErrorOf, UniqueViolation, WriteConflict } from "./sql-errors.ts"
import { inTransaction, tx } from "./transaction.ts"

const replyOf = (errno: number) =>
  Object.assign(new Error("a reply"), { errno, sqlState: "HY000", code: `ER_${errno}` })

describe("error numbers", () => {
  test.each([1213, 1205, 1020, 1412, 1613, 1614, 1689, 3101, 3572])("%i is a conflict", (errno) => {
    expect(sqlErrorOf(replyOf(errno))).toEqual(new WriteConflict({ errno }))
  })

  const unavailable = [
    [3, 5, 20, 23, 1015, 1016, 1021, 1023, 1024, 1026, 1028, 1030, 1036, 1037, 1038, 1040, 1041, 1042, 1043],
    [1045, 1047, 1053, 1077, 1078, 1079, 1114, 1129, 1130, 1135, 1152, 1154, 1155, 1156, 1157, 1158, 1159],
    [1160, 1161, 1180, 1181, 1184, 1203, 1206, 1223, 1226, 1290, 1317, 1461, 1467, 1598, 1637, 1698, 1705],
    [1792, 1811, 1820, 1836, 1862, 1874, 1878, 1898, 1927, 1931, 1969, 2006, 2013, 3015, 3019, 3024, 3032],
    [3098, 3100, 3118, 3168, 3169, 3170, 3186, 3675, 3781, 3782, 3955, 3985, 3989, 4031, 4081, 4082, 4151]
  ]
  test.each(unavailable.flat())("%i means that the database is unavailable", (errno) => {
    const error = sqlErrorOf(replyOf(errno))
    expect(error).toBeInstanceOf(DatabaseUnavailable)
    // The server has answered, so the others need not wait for a probe.
    expect(error).toMatchObject({ everywhere: false })
  })

  test("a unique violation names its key, and what is left is a defect", () => {
    const duplicate = Object.assign(new Error("Duplicate entry 'x' for key 'users.users_email'"), {
      errno: 1062
    })
    expect(sqlErrorOf(duplicate)).toEqual(new UniqueViolation({ constraint: "users_email" }))
    for (const errno of [1054, 1064, 1146, 1264, 1406, 1452, 3819, 4025])
      expect(sqlErrorOf(replyOf(errno))).toBeUndefined()
    expect(sqlErrorOf(new TypeError("a bug"))).toBeUndefined()
    expect(sqlErrorOf("no error")).toBeUndefined()
  })

  test.each([
    Object.assign(new Error("read ECONNRESET"), { errno: -104 }),
    Object.assign(new Error("connect ETIMEDOUT"), { fatal: true, code: "ETIMEDOUT" }),
    new Error("Pool is closed."),
    new Error("Queue limit reached.")
  ])("a connection that fails is unavailable: %s", (cause) => {
    expect(sqlErrorOf(cause)).toBeInstanceOf(DatabaseUnavailable)
  })
})

describe("a server that refuses", () => {
  /** Its own database server: the tests change global settings. */
  let sqlUrl: string
  let stop: () => Promise<void>
  let shop: Shop
  const root = () => shop.sql
  beforeAll(async () => {
    const services = await startServices({ redis: false })
    sqlUrl = services.sql.url()
    stop = () => services.stop()
    shop = await Shop.open({
      mysqlUrl: sqlUrl,
      settings: { databaseConnections: 4, databaseWaitMs: 1_000 }
    })
    await root().query("CREATE TABLE counters (id INT PRIMARY KEY, n INT NOT NULL) ENGINE = InnoDB")
    await allowTable(root(), shop.database, "counters")
    await root().query("INSERT INTO counters VALUES (1, 0)")
    await root().query("CREATE USER 'shop'@'%' IDENTIFIED BY 'a password'")
    await root().query(`GRANT ALL ON ${shop.database}.* TO 'shop'@'%'`)
  })
  afterAll(async () => {
    await shop.stop()
    await stop()
  })

  /** A server whose user has no privilege that lifts the limits. */
  const limited = () => {
    const url = new URL(sqlUrl)
    Object.assign(url, { username: "shop", password: "a password", pathname: `/${shop.database}` })
    return url.href
  }
  const increment = tx.affected(() => sql`update counters set n = n + 1 where id = 1`)
  const ServiceUnavailable = { _tag: "ServiceUnavailable" }
  const isMariaDb = async () => {
    const [rows] = await root().query<Array<RowDataPacket>>("SELECT VERSION() AS v")
    return String(rows[0]?.["v"]).includes("MariaDB")
  }
  const sessionsRunning = async (text: string) => {
    const [rows] = await root().query<Array<RowDataPacket>>(
      "SELECT id AS id FROM information_schema.processlist WHERE info LIKE ? AND info NOT LIKE '%processlist%'",
      [`%${text}%`]
    )
    return rows.map((row) => Number(row["id"]))
  }

  const onShop = <A, E>(effect: Effect.Effect<A, E, App>) => shop.servers[0].runtime.runPromiseExit(effect)

  test.each(["KILL QUERY", "KILL"])("%s of an operator is retryable", async (kill) => {
    const blocker = await root().getConnection()
    await blocker.query("BEGIN")
    await blocker.query("SELECT * FROM counters FOR UPDATE")
    const running = onShop(Effect.flip(inTransaction(increment)))
    await eventually(async () => expect(await sessionsRunning("update counters")).toHaveLength(1))
    const [id] = await sessionsRunning("update counters")
    await root().query(`${kill} ${id}`)
    expect(await running).toMatchObject({ _tag: "Success", value: ServiceUnavailable })
    await blocker.query("ROLLBACK")
    blocker.release()
  })

  // Guarantees: a connection whose COMMIT failed never comes back: its transaction may still be open.
  test("a COMMIT that an operator kills is retryable, and its connection is closed", async () => {
    const blocker = await root().getConnection()
    let session = 0
    const body = Effect.gen(function* () {
      yield* increment
      const row = yield* tx.first(() => sql<{ id: number }>`select connection_id() as id`)
      session = row!.id
      yield* Effect.promise(() => blocker.query("FLUSH TABLES WITH READ LOCK"))
    })
    try {
      const running = onShop(Effect.flip(inTransaction(body)))
      await eventually(async () => expect(await sessionsRunning("commit")).toEqual([session]))
      await root().query(`KILL QUERY ${session}`)
      expect(await running).toMatchObject({ _tag: "Success", value: ServiceUnavailable })
    } finally {
      await blocker.query("UNLOCK TABLES")
      blocker.release()
    }
    await eventually(() => expectEnded(session))
    expect(await counter()).toBe(0)
  })

  const expectEnded = async (session: number) => {
    const [rows] = await root().query("SELECT id FROM information_schema.processlist WHERE id = ?", [session])
    expect(rows).toEqual([])
  }

  test("the time limit of a statement is retryable", async () => {
    const limit = (await isMariaDb())
      ? sql`set session max_statement_time = 0.2`
      : sql`set session max_execution_time = 200`
    const lift = (await isMariaDb())
      ? sql`set session max_statement_time = 0`
      : sql`set session max_execution_time = 0`
    const slow = sql`select count(*) from information_schema.columns a, information_schema.columns b, information_schema.columns c`
    const body = Effect.andThen(
      tx.affected(() => limit),
      Effect.ensuring(
        tx.rows(() => slow),
        Effect.ignore(tx.affected(() => lift))
      )
    )
    const exit = await onShop(Effect.flip(inTransaction(body)))
    expect(exit).toMatchObject({ _tag: "Success", value: ServiceUnavailable })
  })

  test("too many connections are retryable, and over when there is room again", async () => {
    await using server = await opened(limited())
    await root().query("SET GLOBAL max_connections = 10")
    const others = createPool({ uri: limited(), connectionLimit: 20 })
    try {
      await Promise.allSettled(Array.from({ length: 20 }, () => others.getConnection()))
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => server.run(Effect.exit(db.rows(() => sql`select sleep(0.2)`))))
      )
      const failed = answers.filter(Exit.isFailure)
      expect(failed.length).toBeGreaterThan(0)
      for (const exit of failed) expect(JSON.stringify(exit.cause)).toContain("ServiceUnavailable")
    } finally {
      await others.end()
      await root().query("SET GLOBAL max_connections = 151")
    }
    await eventually(() => server.run(db.rows(() => sql`select 1`)))
  })

  // Guarantees: after a failover the pool does not stay with the server that has become a replica.
  test("a server that has become read-only is retryable, and its connections are replaced", async () => {
    await using server = await opened(limited())
    let session = 0
    const incrementOn = Effect.gen(function* () {
      const row = yield* tx.first(() => sql<{ id: number }>`select connection_id() as id`)
      session = row!.id
      yield* increment
    })
    const readOnlyAtCommit = Effect.andThen(
      incrementOn,
      Effect.promise(() => root().query("SET GLOBAL read_only = 1"))
    )
    try {
      expect(await server.run(Effect.flip(inTransaction(readOnlyAtCommit)))).toMatchObject(ServiceUnavailable)
      expect(await server.run(Effect.flip(inTransaction(incrementOn)))).toMatchObject(ServiceUnavailable)
    } finally {
      await root().query("SET GLOBAL read_only = 0")
    }
    await eventually(() => expectEnded(session))
    await server.run(inTransaction(increment))
    expect(await counter()).toBe(1)
  })

  const counter = async () => {
    const [rows] = await root().query<Array<RowDataPacket>>("SELECT n FROM counters")
    return Number(rows[0]?.["n"])
  }

  test("a changed password is retryable", async () => {
    await using server = await opened(limited())
    await root().query("ALTER USER 'shop'@'%' IDENTIFIED BY 'another one'")
    try {
      const sleeping = () => server.run(Effect.exit(db.rows(() => sql`select sleep(0.2)`)))
      const answers = await Promise.all(Array.from({ length: 8 }, sleeping))
      for (const exit of answers.filter(Exit.isFailure))
        expect(JSON.stringify(exit.cause)).toContain("ServiceUnavailable")
    } finally {
      await root().query("ALTER USER 'shop'@'%' IDENTIFIED BY 'a password'")
    }
  })

  test("a request says 503, never 500, while the database is read-only", async () => {
    await using server = await opened(limited())
    const user = await shop.newUser()
    await shop.newProduct("tea", 10)
    await root().query("SET GLOBAL read_only = 1")
    try {
      const response = await fetch(`${server.url}/trpc/orders.create`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${user.token}`,
          "idempotency-key": "read-only-order"
        },
        body: JSON.stringify({ lines: [{ sku: "tea", quantity: 1 }] })
      })
      expect(response.status).toBe(503)
      expect(await response.text()).toContain("ServiceUnavailable")
    } finally {
      await root().query("SET GLOBAL read_only = 0")
    }
    expect((await shop.ok(contract.products.bySku, { sku: "tea" })).stock).toBe(10)
  })

  const opened = async (mysqlUrl: string) => {
    const server = await shop.openBeside({ mysqlUrl: Redacted.make(mysqlUrl) })
    return {
      url: server.url,
      run: <A, E>(effect: Effect.Effect<A, E, App>) => server.runtime.runPromise(effect),
      [Symbol.asyncDispose]: () => server.stop()
    }
  }
})
