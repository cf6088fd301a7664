import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startServices, type Services } from "../../src/index.ts"
import { InvalidSetting, ServiceNotControllable, ServiceUnavailable } from "../../src/services/index.ts"
import {
  concerns,
  ownTemporaryBase,
  packagesAreHere,
  privateSource,
  processExists,
  query,
  withClient,
  withEnvironment
} from "./support.ts"

const concerned = concerns("url", "native", "packages")
const installed = await privateSource()
const temporary = ownTemporaryBase()
afterAll(temporary.remove)

/** A machine without an engine, programs and packages. */
const nothing = {
  DOCKER_HOST: "unix:///nonexistent/docker.sock",
  HOLDFAST_SEARCH_PATH: "",
  PATH: "/nonexistent",
  HOLDFAST_SOURCE: undefined,
  HOLDFAST_MYSQL_URL: undefined,
  HOLDFAST_REDIS_URL: undefined
}

describe.runIf(concerned)("source url", () => {
  let owner: Services
  beforeAll(async () => {
    owner = await startServices({ source: [installed] })
  })
  afterAll(() => owner?.stop())

  const urls = () => ({
    HOLDFAST_SOURCE: undefined,
    HOLDFAST_MYSQL_URL: owner.sql.url(),
    HOLDFAST_REDIS_URL: owner.redis.url(5)
  })

  test("is tried first and uses the servers that the variables name", async () => {
    const services = await withEnvironment(urls(), () => startServices())
    expect([services.sql.source, services.redis.source]).toEqual(["url", "url"])
    expect([services.sql.port, services.redis.port]).toEqual([owner.sql.port, owner.redis.port])
    await services.sql.createDatabase("from_url")
    expect(await query(owner.sql.url(), "SHOW DATABASES LIKE 'from_url'")).toHaveLength(1)
    await withClient(services.redis.url(), (client) => client.set("key", "value"))
    expect(await withClient(owner.redis.url(5), (client) => client.get("key"))).toBe("value")
    await services.stop()
    expect(processExists(owner.sql.identity.pid ?? 0)).toBe(true)
  })

  test("refuses to control the servers, with a reason", async () => {
    const { sql, redis } = await withEnvironment(urls(), () => startServices())
    for (const service of [sql, redis]) {
      for (const operation of ["freeze", "thaw", "kill", "restart"] as const) {
        const failure = await service[operation]().catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(ServiceNotControllable)
        expect(failure).toMatchObject({ operation, source: "url" })
      }
    }
  })

  test("refuses a server of another kind than requested", async () => {
    const other = owner.sql.flavour === "mysql" ? "mariadb" : "mysql"
    await withEnvironment(urls(), async () => {
      await expect(startServices({ sql: { kind: other } })).rejects.toThrow(/HOLDFAST_MYSQL_URL.*wanted is/)
    })
  })

  test.each([
    ["HOLDFAST_MYSQL_URL", "mysql://root:secret@127.0.0.1:1/x", /refused/i],
    ["HOLDFAST_MYSQL_URL", "localhost:3306", /expected a URL that begins with mysql/],
    ["HOLDFAST_MYSQL_URL", "nonsense", /not a URL/],
    ["HOLDFAST_REDIS_URL", "redis://127.0.0.1:1", /refused/i],
    ["HOLDFAST_REDIS_URL", "http://127.0.0.1", /expected a URL that begins with redis/]
  ])("%s=%s is an error that names the variable, not a skip", async (variable, value, reason) => {
    await withEnvironment({ ...urls(), [variable]: value }, async () => {
      const failure = await startServices().catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(InvalidSetting)
      expect(String(failure)).toContain(variable)
      expect(String(failure)).toMatch(reason)
      expect(String(failure)).not.toContain("secret")
    })
  })

  test("fails when no server answers at the URL", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1")
    const port = await new Promise<number>((resolve) =>
      silent.on("listening", () => {
        const address = silent.address()
        resolve(typeof address === "object" && address !== null ? address.port : 0)
      })
    )
    const wrong = { ...urls(), HOLDFAST_REDIS_URL: `redis://127.0.0.1:${port}` }
    await withEnvironment(wrong, async () => {
      await expect(startServices({ sql: false })).rejects.toThrow(/HOLDFAST_REDIS_URL/)
    })
    silent.close()
  })
})

describe.runIf(concerned)("an address that is not understood", () => {
  // Guarantees: nobody who asks for TLS is connected in clear, and no password is told.
  test.each([
    ["mysql://u:hunter2@127.0.0.1:1/?ssl-mode=REQUIRED", /ssl-mode is not understood/],
    ["mysql://u:hunter2@%2Frun%2Fsql.sock/", /Unix sockets and several hosts are not understood/],
    ["mysql://u:hunter2@a,b/", /Unix sockets and several hosts are not understood/],
    ["mysql://u:12?hunter2@127.0.0.1:1/", /a parameter is not understood/],
    ["mysql://u:hunter2%@127.0.0.1:1/", /is no escape/],
    ["mysql://u:hunter2@::1/", /HOLDFAST_MYSQL_URL=\*\*\*: not a URL/]
  ])("%s is refused by name", async (url, reason) => {
    await withEnvironment({ ...nothing, HOLDFAST_MYSQL_URL: url, HOLDFAST_SOURCE: "url" }, async () => {
      const failure: unknown = await startServices({ redis: false }).catch((error: unknown) => error)
      expect(String(failure)).toMatch(reason)
      expect(inspect(failure)).not.toContain("hunter2")
    })
  })
})

describe.runIf(concerned)("HOLDFAST_SOURCE", () => {
  test.runIf(installed === "native")("forces one source", async () => {
    const lines: Array<string> = []
    await withEnvironment(
      { ...nothing, HOLDFAST_SOURCE: "native", HOLDFAST_SEARCH_PATH: undefined },
      async () => {
        await using services = await startServices({ sql: false, onProgress: (line) => lines.push(line) })
        expect(services.redis.source).toBe("native")
      }
    )
    expect(lines).toEqual([expect.stringContaining("from native")])
  })

  test("fails when it names no source", async () => {
    await withEnvironment({ HOLDFAST_SOURCE: "cloud" }, async () => {
      await expect(startServices()).rejects.toThrow(
        /HOLDFAST_SOURCE=cloud: expected one of url, docker, native/
      )
    })
  })

  test("does not fall through to another source", async () => {
    await withEnvironment({ ...nothing, HOLDFAST_SOURCE: "url" }, async () => {
      const failure = await startServices().catch((error: unknown) => error)
      expect(failure).toMatchObject({
        _tag: "ServiceUnavailable",
        tried: [{ source: "url", reason: expect.stringContaining("is not set") }]
      })
    })
  })
})

describe.runIf(concerned)("a machine without any source", () => {
  test("fails with what was tried and what to install", async () => {
    const lines: Array<string> = []
    const failure = await withEnvironment(nothing, () =>
      startServices({ onProgress: (line) => lines.push(line) }).catch((error: unknown) => error)
    )
    expect(failure).toBeInstanceOf(ServiceUnavailable)
    const { message } = failure as ServiceUnavailable
    expect(message).toMatch(/url: HOLDFAST_MYSQL_URL is not set/)
    expect(message).toMatch(/docker: no Docker engine answers at DOCKER_HOST=/)
    expect(message).toMatch(/native: no mariadbd or mysqld on PATH/)
    expect(message).toMatch(/packages: this is not Debian or Ubuntu \(apt-get/)
    expect(message).toMatch(/To fix this: .*install.*HOLDFAST_MYSQL_URL/)
    expect(lines.filter((line) => line.startsWith("sql: not from"))).toHaveLength(4)
  })

  test("spends little time on a missing engine", async () => {
    const began = performance.now()
    await withEnvironment({ ...nothing, HOLDFAST_SOURCE: "docker" }, async () => {
      await expect(startServices()).rejects.toThrow(/no Docker engine/)
    })
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  test("stops one service when the other is unavailable", async () => {
    await withEnvironment({ HOLDFAST_MYSQL_URL: "mysql://127.0.0.1:1" }, async () => {
      const lines: Array<string> = []
      const failure = startServices({ source: ["url", installed], onProgress: (line) => lines.push(line) })
      await expect(failure).rejects.toThrow(/HOLDFAST_MYSQL_URL/)
      expect(lines.some((line) => line.startsWith("redis: redis") || line.startsWith("redis: valkey"))).toBe(
        true
      )
    })
    expect(temporary.list()).toEqual([])
  })
})

describe.runIf(concerned && packagesAreHere())("source packages", () => {
  const cache = mkdtempSync(join(tmpdir(), "packages-"))
  afterAll(() => rmSync(cache, { recursive: true, force: true }))

  test("unpacks the distribution's servers once and runs them without the installed ones", async () => {
    const lines: Array<string> = []
    const start = () =>
      withEnvironment({ HOLDFAST_CACHE: cache, HOLDFAST_SOURCE: "packages", HOLDFAST_SEARCH_PATH: "" }, () =>
        startServices({ onProgress: (line) => lines.push(line) })
      )
    const first = await start()
    expect([first.sql.source, first.redis.source]).toEqual(["packages", "packages"])
    await first.sql.createDatabase("unpacked")
    await first.sql.restart()
    expect(await query(first.sql.url("unpacked"), "SELECT DATABASE() AS name")).toEqual([
      { name: "unpacked" }
    ])
    expect(await withClient(first.redis.url(), (client) => client.ping())).toBe("PONG")
    const [row] = await query(first.sql.url(), "SELECT @@basedir AS basedir")
    expect(row?.["basedir"]).toContain(cache)
    await first.stop()
    expect(lines.some((line) => line.includes("downloading"))).toBe(true)

    lines.length = 0
    await (await start()).stop()
    expect(lines.some((line) => line.includes("downloading"))).toBe(false)
  }, 300_000)
})
