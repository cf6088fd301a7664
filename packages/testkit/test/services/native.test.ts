import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { createConnection } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startServices, type Services } from "../../src/index.ts"
import {
  findRedis,
  findSql,
  readRedisVersion,
  readSqlVersion
} from "../../src/services/native/installation.ts"
import { temporaryDirectory } from "../../src/services/native/directories.ts"
import { thisOwner } from "../../src/services/owner.ts"
import { freePort } from "../../src/services/native/port.ts"
import { startNativeRedis } from "../../src/services/native/redis.ts"
import { startNativeSql } from "../../src/services/native/sql.ts"
import {
  concerns,
  privateSource,
  ownTemporaryBase,
  processExists,
  query,
  withClient,
  withEnvironment
} from "./support.ts"

const concerned = concerns("native", "packages")
const source = await privateSource()
const native = { source: [source] } as const

const temporary = ownTemporaryBase()
afterAll(temporary.remove)

describe.runIf(concerned)("native services", () => {
  let services: Services
  const lines: Array<string> = []
  beforeAll(async () => {
    services = await startServices({ ...native, onProgress: (line) => lines.push(line) })
  })
  afterAll(() => services?.stop())

  test("reports which source was taken", () => {
    expect(lines.filter((line) => line.includes(`from ${source}`))).toHaveLength(2)
  })

  test("answers at its URL, with the reported process", async () => {
    const { sql, redis } = services
    await sql.createDatabase("own`name")
    const [row] = await query(sql.url("own`name"), "SELECT DATABASE() AS name, VERSION() AS version")
    expect(row).toMatchObject({ name: "own`name" })
    expect(row?.["version"]).toContain(sql.version)
    const info = await withClient(redis.url(3), (client) => client.info("server"))
    expect(info).toContain(`process_id:${redis.identity.pid}`)
    expect(processExists(sql.identity.pid ?? 0)).toBe(true)
  })

  test("refuses a database that exists, and drops one that does not", async () => {
    await services.sql.createDatabase("twice")
    await expect(services.sql.createDatabase("twice")).rejects.toThrow(/exists/)
    await services.sql.dropDatabase("twice")
    await services.sql.dropDatabase("twice")
  })

  test("keeps its temporary tables in a private directory, which no other server removes", async () => {
    const [row] = await query(services.sql.url(), "SELECT @@tmpdir AS temporary, @@datadir AS data")
    expect(row?.["temporary"]).toBe(String(row?.["data"]).replace(/data\/$/, "tmp"))
  })

  test("refuses a wrong password", async () => {
    const { sql } = services
    await expect(query(sql.url().replace(sql.password, "wrong"), "SELECT 1")).rejects.toThrow(/denied/i)
  })

  test("answers nothing while frozen and everything afterwards", async () => {
    const { redis } = services
    await redis.freeze()
    const answer = withClient(redis.url(), (client) => client.ping())
    const early = await Promise.race([
      answer,
      new Promise<string>((resolve) => setTimeout(() => resolve("silent"), 200))
    ])
    expect(early).toBe("silent")
    await redis.thaw()
    expect(await answer).toBe("PONG")
  })

  test("keeps committed rows through a kill and a restart on the same port, as another process", async () => {
    const { sql } = services
    const { port, identity } = sql
    await sql.createDatabase("crash")
    await query(sql.url("crash"), "CREATE TABLE t (id INT PRIMARY KEY)")
    await query(sql.url("crash"), "INSERT INTO t VALUES (7)")
    await sql.kill()
    expect(processExists(identity.pid ?? 0)).toBe(false)
    await expect(query(sql.url("crash"), "SELECT 1")).rejects.toThrow()
    await sql.restart()
    expect(sql.port).toBe(port)
    expect(sql.identity.pid).not.toBe(identity.pid)
    expect(await query(sql.url("crash"), "SELECT id FROM t")).toEqual([{ id: 7 }])
  })

  test("restarts Redis without data", async () => {
    const { redis } = services
    await withClient(redis.url(), (client) => client.set("key", "value"))
    await redis.restart()
    expect(await withClient(redis.url(), (client) => client.get("key"))).toBeNull()
  })

  test("leaves no process and no directory after stop", async () => {
    const before = temporary.list()
    const other = await startServices(native)
    const pids = [other.sql.identity.pid ?? 0, other.redis.identity.pid ?? 0]
    expect(temporary.list()).toHaveLength(before.length + 2)
    await other.stop()
    await other.stop()
    expect(pids.filter(processExists)).toEqual([])
    expect(temporary.list().toSorted()).toEqual(before.toSorted())
  })

  test("starts only the requested server, and ends it with `await using`", async () => {
    let pid = 0
    {
      await using only = await startServices({ ...native, sql: false })
      expect(only).not.toHaveProperty("sql")
      pid = only.redis.identity.pid ?? 0
      expect(processExists(pid)).toBe(true)
    }
    expect(processExists(pid)).toBe(false)
  })
})

describe.runIf(concerned)("temporary data on a disk", () => {
  test("keep every committed row when the server is killed", async () => {
    const disk = mkdtempSync(join(tmpdir(), "disk-"))
    const options = { HOLDFAST_TMPDIR: disk }
    const services = await withEnvironment(options, () => startServices({ ...native, redis: false }))
    try {
      await services.sql.createDatabase("crash")
      const connection = await createConnection({ uri: services.sql.url("crash") })
      connection.on("error", () => {})
      await connection.query("CREATE TABLE t (id INT PRIMARY KEY)")
      for (let id = 1; id <= 200; id++) await connection.query("INSERT INTO t VALUES (?)", [id])
      await services.sql.kill()
      await services.sql.restart()
      expect(await query(services.sql.url("crash"), "SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 200 }])
    } finally {
      await services.stop()
      rmSync(disk, { recursive: true, force: true })
    }
  }, 60_000)
})

describe.runIf(concerned)("a directory whose owner and supervisor died", () => {
  const base = mkdtempSync(join(tmpdir(), "left-"))
  afterAll(() => rmSync(base, { recursive: true, force: true }))

  /** A temporary directory as `owner` would have made it. */
  const left = (name: string, owner: object) => {
    mkdirSync(join(base, `holdfast-${name}`))
    writeFileSync(join(base, `holdfast-${name}`, "owner.json"), JSON.stringify(owner))
  }

  test("is removed by the next start, and no other directory is", async () => {
    const alive = thisOwner()
    left("dead", { ...alive, pid: 2 ** 22 + 1 })
    left("pid-given-out-again", { ...alive, startedAt: "1" })
    left("alive", alive)
    left("of-another-container", { ...alive, pid: 2 ** 22 + 1, namespace: "pid:[1]" })
    mkdirSync(join(base, "holdfast-being-made"))
    mkdirSync(join(base, "of-another-program"))
    const mine = await temporaryDirectory("mine", base)
    expect(readdirSync(base).toSorted()).toEqual(
      [
        "holdfast-alive",
        "holdfast-being-made",
        basename(mine.path),
        "holdfast-of-another-container",
        "of-another-program"
      ].toSorted()
    )
  })
})

describe.runIf(concerned)("a persistent data directory", () => {
  const parent = mkdtempSync(join(tmpdir(), "kept-"))
  afterAll(() => rmSync(parent, { recursive: true, force: true }))

  test("keeps its data for the next run, and refuses a second concurrent run", async () => {
    const dataDirectory = join(parent, "a name with spaces and a long path ".repeat(4).trim())
    const first = await startServices({ ...native, dataDirectory })
    await first.sql.createDatabase("shop")
    await withClient(first.redis.url(), (client) => client.set("key", "value"))
    await expect(startServices({ ...native, dataDirectory, redis: false })).rejects.toThrow(/in use/)
    await first.stop()

    await using second = await startServices({ ...native, dataDirectory })
    expect(await query(second.sql.url(), "SHOW DATABASES LIKE 'shop'")).toHaveLength(1)
    expect(await withClient(second.redis.url(), (client) => client.get("key"))).toBe("value")
    expect(existsSync(dataDirectory)).toBe(true)
  })
})

describe.runIf(concerned)("the port", () => {
  const wish = {
    kind: "any",
    image: undefined,
    persistent: false,
    dataDirectory: undefined,
    progress: () => {}
  } as const

  /** Returns a port that is taken, then free ones. */
  const takenFirst = (taken: number) => {
    const ports = [taken]
    return async () => ports.pop() ?? freePort()
  }

  test.runIf(source === "native")(
    "changes when another process has taken the first choice",
    async () => {
      const redis = await findRedis("any")
      const sql = await findSql("any")
      if (redis === undefined || sql === undefined) throw new Error("no native servers here")
      const silent = createServer(() => {})
      const silentPort = await freePort()
      await new Promise<void>((resolve) => silent.listen(silentPort, "127.0.0.1", resolve))
      await using others = await startServices(native)

      const started = [
        await startNativeRedis("native", redis, wish, takenFirst(silentPort)),
        await startNativeRedis("native", redis, wish, takenFirst(others.redis.port)),
        await startNativeSql("native", sql, wish, takenFirst(silentPort)),
        await startNativeSql("native", sql, wish, takenFirst(others.sql.port))
      ]
      const taken = [silentPort, others.redis.port, others.sql.port]
      expect(started.map(({ port }) => port).filter((port) => taken.includes(port))).toEqual([])
      await Promise.all(started.map((service) => service.stop()))
      silent.close()
    },
    60_000
  )
})

describe.runIf(concerned)("versions", () => {
  test("distinguishes MariaDB from MySQL by the program's output, whatever its name", () => {
    expect(readSqlVersion("mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64")).toEqual({
      flavour: "mariadb",
      version: "10.11.6"
    })
    expect(readSqlVersion("/usr/sbin/mysqld  Ver 9.7.0 for Linux on x86_64 (Source distribution)")).toEqual({
      flavour: "mysql",
      version: "9.7.0"
    })
    expect(readSqlVersion("segmentation fault")).toBeUndefined()
  })

  test("distinguishes Valkey from Redis", () => {
    expect(readRedisVersion("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")).toEqual({
      flavour: "redis",
      version: "7.0.15"
    })
    expect(readRedisVersion("Valkey server v=8.1.1 sha=0:0")).toEqual({ flavour: "valkey", version: "8.1.1" })
  })
})
