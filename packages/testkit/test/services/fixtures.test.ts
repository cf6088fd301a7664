import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect } from "vitest"
import { createTest } from "../../src/vitest/index.ts"
import { runVitest } from "../vitest-project.ts"
import { ownTemporaryBase, processExists, query, until, withClient } from "./support.ts"

const temporary = ownTemporaryBase()
afterAll(temporary.remove)

const migrate = (url: string) =>
  query(url, "CREATE TABLE stock (sku VARCHAR(20) PRIMARY KEY, left_over INT NOT NULL)")
const seed = (url: string) => query(url, "INSERT INTO stock VALUES ('tea', 3)")

const test = createTest({ sql: { migrate, seed } })
const alone = createTest({ redis: { isolation: "server" } })
const shared = createTest()

describe("fixtures without a global setup", () => {
  let pid: number | undefined
  let name = ""

  test("give a seeded database and an empty Redis", async ({ sql, redis }) => {
    expect(await sql.query("SELECT * FROM stock")).toEqual([{ sku: "tea", left_over: 3 }])
    expect(await withClient(redis.url, (client) => client.dbsize())).toBe(0)
    expect(redis.database).toBeGreaterThan(0)
    pid = sql.identity.pid
    name = sql.database
    await sql.query("UPDATE stock SET left_over = ? WHERE sku = ?", [0, "tea"])
    await withClient(redis.url, (client) => client.set("key", "value"))
  })

  test("give the next test the same ones in their original state", async ({ sql, redis }) => {
    expect([sql.database, sql.identity.pid]).toEqual([name, pid])
    expect(await sql.query("SELECT * FROM stock")).toEqual([{ sku: "tea", left_over: 3 }])
    expect(await withClient(redis.url, (client) => client.dbsize())).toBe(0)
  })
})

describe("a Redis server for each worker", () => {
  let ports: ReadonlyArray<number> = []

  alone("is for it alone", async ({ redis }) => {
    ports = [redis.port]
  })
  shared("and these use another one", async ({ redis, skip }) => {
    if (redis.source === "url") skip("the server behind a URL is shared")
    expect(ports).not.toContain(redis.port)
  })
})

describe("an independent project", () => {
  const root = fileURLToPath(new URL("project", import.meta.url))
  const runProject = (env: NodeJS.ProcessEnv) => runVitest(root, env)

  test("shares the servers between its files, and the template", { timeout: 240_000 }, async ({ task }) => {
    const report = join(root, "..", `report-${task.id}.txt`)
    writeFileSync(report, "")
    const { code, output } = await runProject({ PROJECT_REPORT: report })
    const lines = readFileSync(report, "utf8").trim().split("\n")
    rmSync(report)
    expect(output).toContain("2 passed")
    expect(code).toBe(0)
    const seen = (kind: string) => lines.filter((line) => line.startsWith(kind))
    expect(new Set(seen("server")).size).toBe(1)
    expect(seen("server")).toHaveLength(2)
    expect(new Set(seen("database")).size).toBe(2)
    expect(seen("migrated")).toHaveLength(1)
  })

  test("keeps the data of a failed test on request", { timeout: 240_000 }, async () => {
    const before = temporary.list().length
    const { code, output } = await runProject({
      PROJECT_FAILS: "1",
      HOLDFAST_KEEP: "1",
      PROJECT_REPORT: "/dev/null"
    })
    const sleepers = (/until: kill ([\d ]+)/.exec(output)?.[1] ?? "")
      .trim()
      .split(" ")
      .filter(Boolean)
      .map(Number)
    try {
      expect(code).toBe(1)
      const [, host, port, user, password, database] =
        /Kept for "fails": \w+ --protocol=tcp -h (\S+) -P (\d+) -u (\w+) -p'(\w+)' (\w+)/.exec(output) ?? []
      const url = `mysql://${user}:${password}@${host}:${port}/${database}`
      expect(await query(url, "SELECT left_over FROM stock")).toEqual([{ left_over: 77 }])
    } finally {
      for (const pid of sleepers) process.kill(pid)
    }
    expect(sleepers).toHaveLength(process.env["HOLDFAST_SOURCE"] === "url" ? 0 : 2)
    const gone = () => !sleepers.some(processExists) && temporary.list().length === before
    await until("the kept servers are gone", 5_000, gone)
  })

  test("keeps nothing without a request", { timeout: 240_000 }, async () => {
    const { code, output } = await runProject({
      PROJECT_FAILS: "1",
      HOLDFAST_KEEP: "",
      PROJECT_REPORT: "/dev/null"
    })
    expect(code).toBe(1)
    expect(output).not.toContain("Kept for")
  })
})
