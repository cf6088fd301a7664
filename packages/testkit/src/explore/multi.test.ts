import { setTimeout as sleep } from "node:timers/promises"
import { Redis } from "ioredis"
import { createPool, type Pool } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { databaseFactory, startServices, type IsolatedDatabase, type Services } from "../services/index.ts"
import { expectExploration } from "./expect-exploration.ts"
import { explore, replay, type Exploration } from "./explore.ts"
import type { Scenario } from "./scenario.ts"

let services: Services
let database: IsolatedDatabase
let admin: Redis
beforeAll(async () => {
  services = await startServices()
  database = await (await databaseFactory(services.sql)).create()
  admin = new Redis(services.redis.url(0))
  await query("CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, line VARCHAR(20)) ENGINE=InnoDB")
}, 240_000)
afterAll(async () => {
  admin?.disconnect()
  await services?.stop()
})

const query = async (sql: string): Promise<ReadonlyArray<Record<string, unknown>>> => {
  const pool = createPool({ uri: database.url })
  try {
    const [rows] = await pool.query(sql)
    return Array.isArray(rows) ? (rows as Array<Record<string, unknown>>) : []
  } finally {
    await pool.end()
  }
}

interface Client {
  readonly pool: Pool
  readonly redis: Redis
  readonly subscriber: Redis
}

/** The orders in which lines arrived, over all schedules. */
const explored = async (
  run: (client: Client, number: number) => Promise<unknown>,
  options: { readonly clients?: number; readonly schedules?: number } = {}
) => {
  const orders = new Set<string>()
  const scenario: Scenario<Client, unknown> = {
    name: "several connections",
    upstreams: { redis: services.redis, sql: services.sql },
    clients: options.clients ?? 1,
    connect: async (ports) => {
      const { user, password } = services.sql
      const pool = createPool({
        host: "127.0.0.1",
        port: ports.sql,
        user,
        password,
        database: database.name,
        connectionLimit: 2,
        multipleStatements: true
      })
      // The pool opens its connections when they are first used.
      await Promise.all([pool.query("SET @open = SLEEP(0.05)"), pool.query("SET @open = SLEEP(0.05)")])
      const [redis, subscriber] = [new Redis({ port: ports.redis }), new Redis({ port: ports.redis })]
      return { pool, redis, subscriber }
    },
    disconnect: async ({ pool, redis, subscriber }) => {
      redis.disconnect()
      subscriber.disconnect()
      await pool.end()
    },
    setup: async () => {
      await query("TRUNCATE TABLE log")
      await admin.del("log")
    },
    run,
    check: async () => {
      const lines = (await query("SELECT line FROM log ORDER BY id")).map(({ line }) => line)
      orders.add([...lines, ...(await admin.lrange("log", 0, -1))].join(" "))
      return undefined
    }
  }
  const exploration = await explore(scenario, {
    strategy: "dfs",
    patienceMs: 60,
    schedules: options.schedules ?? 1_000
  })
  return { exploration, scenario, orders: [...orders].toSorted() }
}

const said = ({ uncontrolled, nondeterminism }: Exploration) =>
  uncontrolled.length > 0 || nondeterminism !== undefined

const insert = ({ pool }: Client, line: string) => pool.query("INSERT INTO log (line) VALUES (?)", [line])

describe("a client with several connections", () => {
  test("its statements reach the server in every order", async () => {
    const { exploration, orders, scenario } = await explored((client) =>
      Promise.all([insert(client, "a"), insert(client, "b")])
    )
    expect(orders).toEqual(["a b", "b a"])
    expect(exploration).toMatchObject({ schedules: 2, exhaustive: true, uncontrolled: [] })
    const codes = ["steps:00", "steps:0A0"]
    const labels = await Promise.all(
      codes.map(async (code) => (await replay(scenario, code))[0]?.steps.length)
    )
    expect(labels).toEqual([2, 2])
  })

  test("an unawaited statement may come before and after those that follow it", async () => {
    const { exploration, orders } = await explored(async (client) => {
      const first = insert(client, "a")
      await insert(client, "b")
      await insert(client, "c")
      await first
    })
    expect(orders).toEqual(["a b c", "b a c", "b c a"])
    expect(exploration).toMatchObject({ exhaustive: true, uncontrolled: [] })
  })

  test("beside another client, all orders of both are tried", async () => {
    const { exploration, orders } = await explored(
      (client, number) =>
        number === 0 ? Promise.all([insert(client, "a"), insert(client, "b")]) : insert(client, "c"),
      { clients: 2 }
    )
    expect(orders).toHaveLength(6)
    expect(exploration).toMatchObject({ schedules: 6, exhaustive: true, uncontrolled: [] })
  })

  test("a lock that one of its connections holds is waited for by another one", async () => {
    await query("CREATE TABLE IF NOT EXISTS rows_of (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
    await query("REPLACE INTO rows_of VALUES (1, 0)")
    const { exploration } = await explored(async ({ pool }) => {
      const work = async () => {
        const connection = await pool.getConnection()
        await connection.beginTransaction()
        await connection.query("UPDATE rows_of SET n = n + 1 WHERE id = 1")
        await connection.commit()
        connection.release()
      }
      await Promise.all([work(), work()])
    })
    expect(exploration).toMatchObject({ exhaustive: true, truncated: 0, uncontrolled: [] })
    expect(exploration.failure).toBeUndefined()
    expect(exploration.schedules).toBeGreaterThan(2)
  })

  // On a busy machine the timer may come after the probe, and is then reported instead.
  test("a timer of one branch is waited for", { retry: 3 }, async () => {
    const { exploration, orders } = await explored((client) =>
      Promise.all([insert(client, "a"), sleep(8).then(() => insert(client, "b"))])
    )
    expect(orders).toEqual(["a b", "b a"])
    expect(exploration).toMatchObject({ schedules: 2, exhaustive: true, uncontrolled: [] })
  })

  test("random values in commands are no difference when the scenario labels them", async () => {
    const run = async ({ redis }: Client, number: number) =>
      redis.set(`key:${number}`, Math.random().toString(36).slice(2, 9))
    const { exploration, scenario } = await explored(run, { clients: 2, schedules: 5 })
    expect(exploration.nondeterminism?.count).toBeGreaterThan(0)
    const label = (text: string) => text.replace(/^(SET key:\d) .*/, "$1 <random>")
    const labelled = await explore({ ...scenario, label }, { strategy: "dfs" })
    expect(labelled).toMatchObject({ exhaustive: true, schedules: 2 })
  })

  test("a Redis pipeline and a statement that are sent together are interleaved", async () => {
    const { exploration, orders } = await explored(async ({ pool, redis }) => {
      const pipeline = redis.pipeline().rpush("log", "r1").rpush("log", "r2").exec()
      await pool.query("INSERT INTO log (line) VALUES ('s')")
      await pipeline
    })
    expect(exploration).toMatchObject({ schedules: 3, exhaustive: true, uncontrolled: [] })
    expect(orders).toEqual(["s r1 r2"])
  })

  test("what a message causes is a step like any other", async () => {
    const { exploration } = await explored(
      async ({ redis, subscriber }, number) => {
        if (number === 1) return redis.publish("news", "now")
        const heard = Promise.withResolvers<void>()
        subscriber.once("message", () => void redis.rpush("log", "heard").then(() => heard.resolve()))
        await subscriber.subscribe("news")
        // Without a subscriber in time, nothing is heard.
        await Promise.race([heard.promise, sleep(30)])
        subscriber.removeAllListeners("message")
        return subscriber.unsubscribe("news")
      },
      { clients: 2 }
    )
    expect(exploration.exhaustive && exploration.schedules < 2).toBe(false)
  })
})

describe("what no schedule decides is said, and nothing is called exhaustive then", () => {
  test("a timer that is longer than the client's patience", async () => {
    const { exploration } = await explored(
      async (client, number) => {
        if (number === 0) await sleep(400)
        await insert(client, String(number))
      },
      { clients: 2 }
    )
    expect(exploration.exhaustive).toBe(false)
    expect(exploration.uncontrolled.join()).toMatch(/^client 0 sent "INSERT.*by itself/)
    expect(() => expectExploration(exploration).safe({ exhaustive: true })).toThrow(
      /do not decide everything/
    )
  })

  test.each([5, 45, 75, 90, 400])("a timer of one branch, of %i ms", async (ms) => {
    const { exploration, orders } = await explored((client) =>
      Promise.all([insert(client, "a"), sleep(ms).then(() => insert(client, "b"))])
    )
    // Either the explorer waits for the timer and tries both orders, or it says that it does not.
    expect(exploration.exhaustive && orders.length < 2).toBe(false)
    expect(exploration.exhaustive || said(exploration)).toBe(true)
  })

  test("work that the client does not await", async () => {
    const late: Array<Promise<unknown>> = []
    const { exploration, orders } = await explored(async (client) => {
      await insert(client, "a")
      late.push(sleep(40).then(() => insert(client, "late")))
    })
    await Promise.allSettled(late)
    expect(exploration.exhaustive && orders.some((order) => !order.includes("late"))).toBe(false)
    expect(exploration.exhaustive || said(exploration)).toBe(true)
  })

  test("several statements in one command", async () => {
    const { exploration } = await explored(
      ({ pool }) => pool.query("INSERT INTO log (line) VALUES ('a;b'); INSERT INTO log (line) VALUES ('c')"),
      { clients: 2 }
    )
    expect(exploration.exhaustive).toBe(false)
    expect(exploration.uncontrolled.join()).toMatch(/several statements in one command/)
  })
})
