import { ServiceUnavailable } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Cause, Effect, Exit, Fiber } from "effect"
import { sql } from "kysely"
import type { RowDataPacket } from "mysql2"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import type { App } from "../../app.ts"
import { allowTable } from "../../../test/least-privilege.ts"
import { Shop } from "../../../test/shop.ts"
import { db } from "./database.ts"
import { UniqueViolation } from "./sql-errors.ts"
import { inTransaction, onCommit, tx } from "./transaction.ts"

describe("transactions", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ settings: { databaseConnections: 4, databaseWaitMs: 300 } })
    await shop.sql.query(
      "CREATE TABLE counters (id INT PRIMARY KEY, n INT NOT NULL, CHECK (n >= 0)) ENGINE = InnoDB"
    )
    await allowTable(shop.sql, shop.database, "counters")
  })
  afterAll(() => shop.stop())
  beforeEach(async () => {
    await shop.sql.query("DELETE FROM counters")
    await shop.sql.query("INSERT INTO counters VALUES (1, 0), (2, 0)")
  })

  const run = <A, E>(effect: Effect.Effect<A, E, App>) => shop.servers[0].runtime.runPromise(effect)
  const runExit = <A, E>(effect: Effect.Effect<A, E, App>) => shop.servers[0].runtime.runPromiseExit(effect)
  const increment = (id: number) => tx.affected(() => sql`update counters set n = n + 1 where id = ${id}`)
  const counters = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT n FROM counters ORDER BY id")
    return rows.map((row) => row["n"] as number)
  }

  test("a success commits, a failure rolls everything back", async () => {
    await run(inTransaction(increment(1)))
    await runExit(inTransaction(Effect.andThen(increment(2), Effect.fail("no"))))
    expect(await counters()).toEqual([1, 0])
  })

  test("what waits for the commit happens after it, and not at all after a rollback", async () => {
    const done: Array<string> = []
    const note = (what: string) =>
      Effect.andThen(
        increment(1),
        onCommit(() => void done.push(what))
      )
    await run(
      inTransaction(
        Effect.andThen(
          note("first"),
          Effect.map(note("second"), () => done.push("body"))
        )
      )
    )
    expect(done).toEqual(["body", "first", "second"])
    await runExit(inTransaction(Effect.andThen(note("never"), Effect.fail("no"))))
    expect(done).toHaveLength(3)
  })

  test("a defect rolls back as well", async () => {
    const exit = await runExit(inTransaction(Effect.andThen(increment(1), Effect.die("bug"))))
    expect(Exit.isFailure(exit)).toBe(true)
    expect(await counters()).toEqual([0, 0])
  })

  // Guarantees: a deadlock is the database's business: both transactions take effect, and no caller sees it.
  test("two transactions in a deadlock both complete", async () => {
    const bothHoldOne = Promise.withResolvers<void>()
    const holding = new Set<number>()
    let attempts = 0
    const inOrder = (first: number, second: number) =>
      inTransaction(
        Effect.gen(function* () {
          attempts += 1
          yield* increment(first)
          if (holding.add(first).size === 2) bothHoldOne.resolve()
          yield* Effect.promise(() => bothHoldOne.promise)
          yield* increment(second)
        })
      )
    await Promise.all([run(inOrder(1, 2)), run(inOrder(2, 1))])
    expect(await counters()).toEqual([2, 2])
    expect(attempts).toBeGreaterThan(2)
  })

  // Guarantees: an interrupted request holds no row: its statement is cancelled and its transaction rolled back.
  test("interruption while waiting for a row cancels the statement at once", async () => {
    const blocker = await shop.sql.getConnection()
    try {
      await blocker.query("BEGIN")
      await blocker.query("UPDATE counters SET n = 100 WHERE id = 1")
      const fiber = shop.servers[0].runtime.runFork(inTransaction(Effect.andThen(increment(2), increment(1))))
      await eventually(async () => expect(await waiting("update counters")).toBe(1))
      await Effect.runPromise(Fiber.interrupt(fiber))
      await eventually(async () => expect(await waiting("update counters")).toBe(0))
      await blocker.query("ROLLBACK")
    } finally {
      blocker.release()
    }
    expect(await counters()).toEqual([0, 0])
    await run(inTransaction(increment(2))) // the row is free again
  })

  // Guarantees: interruption reaches the server. Nothing but a KILL QUERY ends this statement within a minute.
  test("an interrupted statement ends on the server", async () => {
    const fiber = shop.servers[0].runtime.runFork(db.rows(() => sql`select sleep(60)`))
    await eventually(async () => expect(await waiting("select sleep(60)")).toBe(1))
    await Effect.runPromise(Fiber.interrupt(fiber))
    await eventually(async () => expect(await waiting("select sleep(60)")).toBe(0))
  })

  /** Statements that run on the server at this moment in our database. */
  const waiting = async (like: string) => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = ? AND info LIKE ? AND info NOT LIKE '%processlist%'",
      [shop.database, `${like}%`]
    )
    return Number(rows[0]?.["n"])
  }

  test("a unique violation names the key, and the rest of the transaction can go on or roll back", async () => {
    const insert = tx.insert(() => sql`insert into counters values (1, 5)`)
    const error = await run(Effect.flip(inTransaction(insert)))
    expect(error).toBeInstanceOf(UniqueViolation)
    expect((error as UniqueViolation).constraint).toBe("PRIMARY")
  })

  test("a CHECK is the last line: what it forbids dies and leaves nothing", async () => {
    const exit = await runExit(
      inTransaction(
        Effect.andThen(
          increment(2),
          tx.affected(() => sql`update counters set n = -1 where id = 1`)
        )
      )
    )
    expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
    expect(await counters()).toEqual([0, 0])
  })

  test("a pool exhausted by transactions refuses in time instead of waiting for ever, and recovers", async () => {
    const release = Promise.withResolvers<void>()
    let holding = 0
    const hold = Effect.andThen(
      Effect.sync(() => void (holding += 1)),
      Effect.promise(() => release.promise)
    )
    const holders = Array.from({ length: 4 }, () => run(inTransaction(hold)))
    await eventually(() => expect(holding).toBe(4))
    const refused = await run(Effect.flip(inTransaction(increment(2))))
    expect(refused).toBeInstanceOf(ServiceUnavailable)
    release.resolve()
    await Promise.all(holders)
    await run(inTransaction(increment(2)))
    expect(await counters()).toEqual([0, 1])
  })

  // Guarantees: a connection with an open transaction never goes back to the pool, where the next BEGIN would commit it.
  test("a connection that is killed in the middle of a transaction commits nothing and is replaced", async () => {
    const killed = run(
      Effect.exit(
        inTransaction(
          Effect.gen(function* () {
            yield* increment(1)
            const connection = yield* tx.first(() => sql<{ id: number }>`select connection_id() as id`)
            yield* Effect.promise(() => shop.sql.query(`KILL ${connection!.id}`))
            yield* increment(1)
          })
        )
      )
    )
    expect(Exit.isFailure(await killed)).toBe(true)
    await Promise.all(Array.from({ length: 8 }, () => run(inTransaction(increment(2)))))
    expect(await counters()).toEqual([0, 8])
  })

  test("sessions are READ COMMITTED, strict and in UTC", async () => {
    const session = await run(
      db.first(
        () => sql<Record<string, string>>`select @@session.sql_mode as mode, @@session.time_zone as zone,
          @@session.innodb_lock_wait_timeout as wait`
      )
    )
    expect(session).toMatchObject({ zone: "+00:00", mode: expect.stringContaining("STRICT_ALL_TABLES") })
    const variable = (await isMariaDb()) ? "tx_isolation" : "transaction_isolation"
    const isolation = await run(
      db.first(() => sql<{ v: string }>`select ${sql.raw(`@@session.${variable}`)} as v`)
    )
    expect(isolation?.v).toBe("READ-COMMITTED")
  })

  const isMariaDb = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>("SELECT VERSION() AS v")
    return String(rows[0]?.["v"]).includes("MariaDB")
  }
})
