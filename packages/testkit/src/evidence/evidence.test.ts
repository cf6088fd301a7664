import { AssertionError } from "node:assert"
import { Redis } from "ioredis"
import mysql, { type Connection } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startServices, type RedisService, type SqlService } from "../services/index.ts"
import { evidence } from "./evidence.ts"
import "../vitest/evidence-matcher.ts"

const database = "holdfast_evidence"
const script = "return redis.call('INCR', KEYS[1])"

/** What the code under test needs from its stores; real ones and fakes both fit. */
interface Stores {
  readonly reserve: () => Promise<unknown>
  readonly commit: () => Promise<unknown>
}

describe("evidence", () => {
  let redisServer: RedisService
  let sqlServer: SqlService
  let redis: Redis
  let sql: Connection
  let stop: () => Promise<void>

  beforeAll(async () => {
    const services = await startServices()
    redisServer = services.redis
    sqlServer = services.sql
    stop = () => services.stop()
    await sqlServer.dropDatabase(database)
    await sqlServer.createDatabase(database)
    redis = new Redis(redisServer.url())
    sql = await mysql.createConnection(sqlServer.url(database))
    await sql.query("CREATE TABLE sales (id INT PRIMARY KEY)")
    await redis.script("LOAD", script)
  }, 120_000)
  afterAll(async () => {
    redis.disconnect()
    await sql.end()
    await sqlServer.dropDatabase(database)
    await stop()
  })

  const real = (id: number): Stores => ({
    reserve: async () => {
      const sha = String(await redis.script("LOAD", script))
      return redis.evalsha(sha, 1, "evidence:counter")
    },
    commit: async () => {
      await sql.beginTransaction()
      await sql.execute("INSERT INTO sales VALUES (?)", [id])
      await sql.commit()
    }
  })
  const fake = (): Stores => {
    const memory = new Map<string, number>()
    return {
      reserve: async () => memory.set("evidence:counter", 1),
      commit: async () => memory.set("sales", 1)
    }
  }
  const codeUnderTest = async (stores: Stores) => {
    await stores.reserve()
    await stores.commit()
    return "sold"
  }
  const expected = {
    redis: { evalsha: { atLeast: 1 }, incr: 1, flushall: false },
    sql: {
      commit: { atLeast: 1 },
      insert: { exactly: 1 },
      handler_commit: { atLeast: 1 },
      rollback: { atMost: 0 }
    }
  }

  test("shows the commands that the real servers ran, and their identity", async () => {
    const found = await evidence({ redis: redisServer, sql: sqlServer }).around(() => codeUnderTest(real(1)))
    expect(found.value).toBe("sold")
    found.toShow(expected)
    expect(found).toShow(expected)
    expect(found.redis?.identity).toMatchObject({
      kind: redisServer.flavour,
      version: redisServer.version,
      port: redisServer.port,
      ...redisServer.identity
    })
    expect(found.sql?.identity).toMatchObject({ kind: sqlServer.flavour, ...sqlServer.identity })
    expect(found.sql?.identity.version).toContain(sqlServer.version)
    expect(found.redis?.restarted).toBe(false)
  })

  test("fails when the code under test used a fake, and lists what the servers saw instead", async () => {
    const found = await evidence({ redis: redisServer, sql: sqlServer }).around(async () => {
      await redis.get("evidence:counter")
      return codeUnderTest(fake())
    })
    expect(found.value).toBe("sold")
    expect(() => found.toShow(expected)).toThrow(AssertionError)
    expect(() => found.toShow(expected)).toThrow(/redis evalsha: expected at least 1, it ran 0 times/)
    expect(() => found.toShow(expected)).toThrow(/sql commit: expected at least 1, it ran 0 times/)
    expect(() => found.toShow(expected)).toThrow(
      new RegExp(`at ${redisServer.host}:${redisServer.port}.* saw: get 1\\n`)
    )
    expect(() => expect(found).toShow({ redis: { evalsha: true } })).toThrow(/leaves no trace on the server/)
    expect(found).not.toShow(expected)
  })

  test("does not count its own commands, however often it reads", async () => {
    const live = await evidence({ redis: redisServer.url(), sql: sqlServer.url() }).start()
    for (let reading = 1; reading <= 3; reading++) {
      const found = await live.read()
      expect(found.redis?.commands).toEqual({})
      expect(found.sql?.commands).toEqual({})
    }
  })

  test("finds the process of a native server itself", async () => {
    const live = await evidence({ redis: redisServer.url(), sql: sqlServer.url() }).start()
    const found = await live.read()
    if (redisServer.identity.pid !== undefined)
      expect(found.redis?.identity.pid).toBe(redisServer.identity.pid)
    if (sqlServer.identity.pid !== undefined) expect(found.sql?.identity.pid).toBe(sqlServer.identity.pid)
    expect(found.redis?.identity.id).toMatch(/^[0-9a-f]{40}$/)
  })

  test("checks each kind of amount, and sums a command's subcommands", async () => {
    const found = await evidence({ redis: redisServer }).around(async () => {
      await redis.client("LIST")
      await redis.client("ID")
      await redis.ping()
    })
    found.toShow({
      redis: { client: 2, "client|id": 1, PING: true, get: false, ping: { atLeast: 1, atMost: 3 } }
    })
    for (const [amount, words] of [
      [true, "at least 1, it ran 0 times"],
      [{ atLeast: 2 }, "at least 2"],
      [3, "exactly 3"],
      [{ atLeast: 1, atMost: 2 }, "1 to 2"]
    ] as const)
      expect(() => found.toShow({ redis: { get: amount } })).toThrow(`redis get: expected ${words}`)
    expect(() => found.toShow({ redis: { ping: false } })).toThrow(
      "redis ping: expected exactly 0, it ran once"
    )
    expect(() => found.toShow({ redis: { client: { atMost: 1 } } })).toThrow(
      "expected at most 1, it ran 2 times"
    )
  })

  test("fails when the server was not observed at all", async () => {
    const found = await evidence({ redis: redisServer }).around(() => {})
    expect(() => found.toShow({ sql: { commit: false } })).toThrow("sql: no such server was watched")
  })

  test("rejects with the code's error, and when a server does not answer", async () => {
    const failing = evidence({ redis: redisServer }).around(() => {
      throw new Error("sold out")
    })
    await expect(failing).rejects.toThrow("sold out")
    const nowhere = { host: "127.0.0.1", port: 1 }
    await expect(evidence({ redis: nowhere }).start()).rejects.toThrow("ECONNREFUSED")
    await expect(evidence({ sql: nowhere }).start()).rejects.toThrow("ECONNREFUSED")
    await expect(evidence({ redis: "http://localhost" }).start()).rejects.toThrow("use redis:// or mysql://")
  })
})

describe("evidence over a restart", () => {
  test("reports the restart and counts from there", async () => {
    await using services = await startServices({ sql: false, source: ["docker", "native", "packages"] })
    const redis = new Redis(services.redis.url(), { retryStrategy: () => 5 })
    redis.on("error", () => {})
    try {
      const found = await evidence({ redis: services.redis.url() }).around(async () => {
        await redis.set("evidence:lost", 1)
        await services.redis.restart()
        await redis.get("evidence:lost")
      })
      expect(found.redis?.restarted).toBe(true)
      found.toShow({ redis: { get: 1, set: false } })
      expect(() => found.toShow({ redis: { set: true } })).toThrow(/restarted meanwhile, saw:/)
    } finally {
      redis.disconnect()
    }
  })
})
