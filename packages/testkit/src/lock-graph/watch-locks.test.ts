import { Redis } from "ioredis"
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise"
import { Mutex, Semaphore } from "redis-semaphore"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { eventually } from "../race/eventually.ts"
import { startServices, type Services } from "../services/index.ts"
import { expectLocks, LockCycleError } from "./expect-locks.ts"
import { watchLocks, type LockWatch } from "./watch-locks.ts"

interface Client {
  readonly redis: Redis
  readonly sql: Connection
}

let services: Services
let admin: Connection
let watch: LockWatch
let clients: ReadonlyArray<Client>

beforeAll(async () => {
  services = await startServices()
  const { host, port, user, password } = services.sql
  await services.sql.createDatabase("watched")
  admin = await createConnection({ host, port, user, password, database: "watched" })
  await admin.query(
    "CREATE TABLE products (id INT PRIMARY KEY, sku BINARY(4), stock INT, UNIQUE (sku)) ENGINE=InnoDB"
  )
})
afterAll(async () => {
  admin.destroy()
  await services.stop()
})

beforeEach(async () => {
  await admin.query("REPLACE INTO products VALUES (1, 'aaaa', 5), (2, 'bbbb', 5), (3, 'cccc', 5)")
  const { sql, redis } = services
  watch = await watchLocks({ upstreams: { sql, redis }, clients: 2 })
  clients = await Promise.all(
    watch.ports.map(async (ports) => ({
      redis: new Redis({ port: ports.redis }),
      sql: await createConnection({
        host: "127.0.0.1",
        port: ports.sql,
        user: sql.user,
        password: sql.password,
        database: "watched"
      })
    }))
  )
})
afterEach(async () => {
  for (const { redis, sql } of clients) {
    redis.disconnect()
    sql.destroy()
  }
  await watch.close()
})

const client = (number: number): Client => {
  const found = clients[number]
  if (found === undefined) throw new RangeError(`There is no client ${number}.`)
  return found
}

const mutex = (number: number, key: string) =>
  new Mutex(client(number).redis, key, { refreshInterval: 0, acquireTimeout: 1_000 })

/** One client takes mutexes in this order and releases them. */
const section = async (number: number, ...keys: ReadonlyArray<string>) => {
  const mutexes = keys.map((key) => mutex(number, key))
  for (const each of mutexes) await each.acquire()
  for (const each of mutexes) await each.release()
}

/** One client changes rows in this order, in one transaction. */
const transaction = async (number: number, ...ids: ReadonlyArray<number>) => {
  const { sql } = client(number)
  await sql.beginTransaction()
  for (const id of ids) await sql.execute("UPDATE products SET stock = stock - 1 WHERE id = ?", [id])
  await sql.commit()
}

/** Each server has its own format for the key of a row. */
const row = (id: number) =>
  `row \`watched\`.\`products\` PRIMARY ${services.sql.flavour === "mariadb" ? `8000000${id}` : id}`

const connectionIds = async (): Promise<ReadonlyArray<number>> => {
  const [rows] = await admin.query<Array<RowDataPacket>>("SHOW PROCESSLIST")
  return rows.map((connection) => Number(connection["Id"]))
}

const cycles = () => watch.graph.cycles().map(({ locks }) => locks.join(" < "))

describe("Redis mutexes", () => {
  test("in opposite orders are a cycle, even if the clients never met", async () => {
    await section(0, "a", "b")
    await section(1, "b", "a")
    expect(cycles()).toEqual(["redis mutex:a < redis mutex:b"])
    expect(() => expectLocks(watch.graph).toHaveOneOrder()).toThrow(LockCycleError)
    expect(() => expectLocks(watch.graph).toHaveOneOrder()).toThrow(
      "client 1 held redis mutex:b and asked for redis mutex:a"
    )
  })

  test("in one order are none, whatever is taken in between", async () => {
    await section(0, "a", "b")
    await section(1, "a", "b")
    await section(1, "b")
    await section(1, "a")
    expectLocks(watch.graph).toHaveOneOrder()
    expect(watch.graph.orders).toHaveLength(1)
    expect(watch.unknownScripts.size).toBe(0)
  })

  test("released by an unknown script are reported, unless the script is registered", async () => {
    const lua = "return redis.call('del', KEYS[1])"
    const digest = await client(0).redis.script("LOAD", lua)
    const { redis } = services
    for (const scripts of [[], [lua]]) {
      await using other = await watchLocks({ upstreams: { redis }, clients: 1, flushScripts: false, scripts })
      const holder = new Redis({ port: other.ports[0]?.redis ?? 0 })
      await holder.set("mutex:a", "me", "NX")
      await holder.evalsha(String(digest), 1, "mutex:a")
      expect([...other.unknownScripts]).toEqual(scripts.length === 0 ? [digest] : [])
      expect(other.graph.heldBy("client 0")).toEqual(scripts.length === 0 ? ["redis mutex:a"] : [])
      holder.disconnect()
    }
  })

  test("stay held through a refresh", async () => {
    const held = new Mutex(client(0).redis, "a", { refreshInterval: 0, lockTimeout: 60_000 })
    await held.acquire()
    // Acquiring again with the same identifier runs the refresh script.
    const again = new Mutex(client(0).redis, "a", {
      identifier: held.identifier,
      acquiredExternally: true,
      refreshInterval: 0
    })
    expect(await again.tryAcquire()).toBe(true)
    expect(watch.graph.heldBy("client 0")).toEqual(["redis mutex:a"])
    await held.release()
    expect(watch.graph.heldBy("client 0")).toEqual([])
  })

  test("and semaphores in opposite orders are a cycle; one slot is released by its owner", async () => {
    const { redis } = client(0)
    const slot = new Semaphore(redis, "slots", 2, { refreshInterval: 0 })
    await mutex(0, "a").acquire()
    await slot.acquire()
    expect(watch.graph.heldBy("client 0")).toEqual(["redis mutex:a", "redis semaphore:slots"])
    await slot.release()
    expect(watch.graph.heldBy("client 0")).toEqual(["redis mutex:a"])
    await redis.del("mutex:a")
    await new Semaphore(client(1).redis, "slots", 2, { refreshInterval: 0 }).acquire()
    await section(1, "a")
    expect(cycles()).toEqual(["redis mutex:a < redis semaphore:slots"])
    await client(1).redis.del("semaphore:slots")
  })

  test("in opposite orders inside a semaphore are a cycle unless it has one slot", async () => {
    const inside = async (limit: number) => {
      for (const [number, keys] of [[0, ["a", "b"]] as const, [1, ["b", "a"]] as const]) {
        const slot = new Semaphore(client(number).redis, `of${limit}`, limit, { refreshInterval: 0 })
        await slot.acquire()
        await section(number, ...keys.map((key) => `${key}${limit}`))
        await slot.release()
      }
    }
    await inside(1)
    expect(cycles()).toEqual([])
    await inside(2)
    expect(cycles()).toEqual(["redis mutex:a2 < redis mutex:b2"])
  })

  test("that are refused count as requested", async () => {
    await mutex(1, "b").acquire()
    const holder = mutex(0, "a")
    await holder.acquire()
    expect(await mutex(0, "b").tryAcquire()).toBe(false)
    expect(watch.graph.heldBy("client 0")).toEqual(["redis mutex:a"])
    expect(watch.graph.orders).toMatchObject([{ from: "redis mutex:a", to: "redis mutex:b" }])
    await client(0).redis.del("mutex:a", "mutex:b")
  })
})

describe("row locks", () => {
  test("in opposite orders are a cycle, even without a deadlock", async () => {
    await transaction(0, 1, 2)
    await transaction(1, 2, 1)
    expect(cycles()).toEqual([`${row(1)} < ${row(2)}`])
  })

  test("in one order are none, and are released at the end of the transaction", async () => {
    await transaction(0, 1)
    await transaction(0, 2)
    expect(watch.graph.orders).toEqual([])
    await transaction(0, 1, 3)
    await transaction(1, 1, 3)
    expectLocks(watch.graph).toHaveOneOrder()
  })

  test("are the same rows however they are found", async () => {
    await transaction(0, 1, 2)
    const { sql } = client(1)
    await sql.beginTransaction()
    await sql.query("SELECT stock FROM products WHERE sku = 'bbbb' FOR UPDATE")
    await sql.query("SELECT stock FROM products WHERE sku = 'aaaa' FOR UPDATE")
    await sql.rollback()
    expect(cycles()).toContain(`${row(1)} < ${row(2)}`)
  })

  test("of one statement have no order among each other", async () => {
    const { sql } = client(0)
    await sql.beginTransaction()
    await sql.query("UPDATE products SET stock = 1 WHERE id IN (2, 1)")
    await sql.commit()
    await transaction(1, 2, 1)
    expect(cycles()).toEqual([])
  })
})

describe("a statement that locks two rows", () => {
  test("and waits for the second took the first before it", async () => {
    const [both, holder] = [client(0).sql, client(1).sql]
    await holder.beginTransaction()
    await holder.query("UPDATE products SET stock = 1 WHERE id = 2")
    await both.beginTransaction()
    const waiting = both.query("UPDATE products SET stock = 1 WHERE id IN (1, 2)")
    await eventually(async () => {
      const [[monitor]] = await admin.query<Array<RowDataPacket>>("SHOW ENGINE INNODB STATUS")
      expect(monitor?.["Status"]).toContain("LOCK WAIT")
    })
    await holder.query("SELECT 1")
    expect(watch.graph.orders).toMatchObject([{ from: row(1), to: row(2), owner: "client 0" }])
    await holder.commit()
    await waiting
    await both.commit()
    await transaction(1, 2, 1)
    expect(cycles()).toEqual([`${row(1)} < ${row(2)}`])
  })
})

describe("the lock of a newly inserted row", () => {
  test("belongs to its inserter, although its waiter creates it", async () => {
    const [inserter, waiter] = [client(0).sql, client(1).sql]
    await inserter.beginTransaction()
    await inserter.query("INSERT INTO products VALUES (9, 'xxxx', 5)")
    await waiter.beginTransaction()
    const waiting = waiter.query("UPDATE products SET stock = 1 WHERE id = 9")
    await eventually(async () => {
      await inserter.query("SELECT 1")
      expect(watch.graph.heldBy("client 0")).toContain(row(9))
    })
    expect(watch.graph.heldBy("client 1")).toEqual([])
    await inserter.rollback()
    await waiting
    await waiter.rollback()
  })
})

describe("locks of different kinds", () => {
  test("a mutex inside a transaction and a transaction inside the mutex are a cycle", async () => {
    const outside = mutex(0, "sale")
    await outside.acquire()
    await transaction(0, 1)
    await outside.release()

    const { sql } = client(1)
    await sql.beginTransaction()
    await sql.query("UPDATE products SET stock = 1 WHERE id = 1")
    await section(1, "sale")
    await sql.commit()
    expect(cycles()).toEqual([`redis mutex:sale < ${row(1)}`])
  })

  test("rows in opposite orders under one mutex are none", async () => {
    for (const [number, ids] of [[0, [1, 2]] as const, [1, [2, 1]] as const]) {
      const guard = mutex(number, "sale")
      await guard.acquire()
      await transaction(number, ...ids)
      await guard.release()
    }
    expectLocks(watch.graph).toHaveOneOrder()
  })

  test("named locks count", async () => {
    const named = async (number: number, first: string, second: string) => {
      const { sql } = client(number)
      await sql.query(`SELECT GET_LOCK('${first}', 1)`)
      await sql.query(`SELECT GET_LOCK('${second}', 1)`)
      await sql.query(`SELECT RELEASE_LOCK('${second}')`)
      expect(watch.graph.heldBy(`client ${number}`)).toEqual([`named ${first}`])
      await sql.query("SELECT RELEASE_ALL_LOCKS()")
    }
    await named(0, "a", "b")
    expect(watch.graph.heldBy("client 0")).toEqual([])
    await named(1, "b", "a")
    expect(cycles()).toEqual(["named a < named b"])
  })
})

describe("a client whose commands are hidden", () => {
  test("is refused, and closing the watch throws the reason", async () => {
    const { sql } = services
    const other = await watchLocks({ upstreams: { sql }, clients: 1 })
    const { user, password } = sql
    const hidden = { host: "127.0.0.1", port: other.ports[0]?.sql ?? 0, user, password, compress: true }
    await expect(createConnection(hidden)).rejects.toThrow()
    await expect(other.close()).rejects.toThrow(/asked for compression/)
  })
})

describe("a transaction with very many locks", () => {
  test("is observed completely, or closing the watch throws", async () => {
    const rows = Array.from({ length: 20_000 }, (_, id) => `(${id}, 5)`)
    await admin.query("CREATE TABLE many (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB")
    await admin.query(`INSERT INTO many VALUES ${rows.join()}`)
    const { sql } = services
    const other = await watchLocks({ upstreams: { sql }, clients: 1 })
    const { user, password } = sql
    const port = other.ports[0]?.sql ?? 0
    const watched = await createConnection({ host: "127.0.0.1", port, user, password, database: "watched" })
    watched.on("error", () => {})
    await watched.beginTransaction()
    await watched.query("UPDATE many SET stock = 4")
    const next = watched.query("SELECT 1")
    if (sql.flavour === "mariadb") {
      await expect(next).rejects.toThrow()
      await expect(other.close()).rejects.toThrow(/more locks than the InnoDB monitor shows/)
    } else {
      await next
      expect(other.graph.heldBy("client 0")).toHaveLength(20_000)
      watched.destroy()
      await other.close()
    }
    // Waits for the rollback, so that the next test does not observe these locks.
    await admin.query("DROP TABLE many")
  })
})

describe("a watch that can no longer query the SQL server", () => {
  test("ends its clients' connections instead of letting them wait, and throws the reason", async () => {
    const { sql } = services
    const before = await connectionIds()
    const other = await watchLocks({ upstreams: { sql }, clients: 1 })
    const observers = (await connectionIds()).filter((id) => !before.includes(id))
    const { user, password } = sql
    const port = other.ports[0]?.sql ?? 0
    const watched = await createConnection({ host: "127.0.0.1", port, user, password })
    watched.on("error", () => {})
    for (const id of observers) await admin.query(`KILL ${id}`)
    await expect(watched.query("SELECT 1")).rejects.toThrow()
    await expect(other.close()).rejects.toThrow()
  })
})

describe("expectLocks", () => {
  test("throws when nothing was observed", async () => {
    await section(0, "a")
    expect(() => expectLocks(watch.graph).toHaveOneOrder()).toThrow(
      /No client took a lock .* this proves nothing/
    )
    expectLocks(watch.graph).toHaveOneOrder({ allowNone: true })
  })
})
