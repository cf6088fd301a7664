import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { freePort } from "../test/free-port.ts"
import { Shop } from "../test/shop.ts"
import { commandEnvironment, TEST_SECRET } from "../test/settings.ts"

type Line = Readonly<Record<string, unknown>>

/** `holdfast serve` in a process of its own, with what it has written. */
class Served implements AsyncDisposable {
  readonly child: ChildProcess
  stdout = ""
  stderr = ""
  readonly ended: Promise<number | null>
  constructor(args: ReadonlyArray<string>, env: Record<string, string>) {
    const main = fileURLToPath(new URL("./cli.ts", import.meta.url))
    const command = [
      "--conditions=holdfast-source",
      "--disable-warning=ExperimentalWarning",
      main,
      "serve",
      ...args
    ]
    this.child = spawn(process.execPath, command, { env: { ...commandEnvironment, ...env } })
    this.child.stdout!.on("data", (text) => (this.stdout += String(text)))
    this.child.stderr!.on("data", (text) => (this.stderr += String(text)))
    this.ended = once(this.child, "exit").then(([code]) => code as number | null)
  }

  /** The lines of the log; each has to be one. */
  get lines(): ReadonlyArray<Line> {
    return this.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line)
  }

  saying(message: string, count = 1): Promise<ReadonlyArray<Line>> {
    return eventually(
      () => {
        const found = this.lines.filter((line) => line["message"] === message)
        expect(found.length, this.stderr).toBeGreaterThanOrEqual(count)
        return found
      },
      // A busy machine takes its time to load the program.
      { timeoutMs: 100_000 }
    )
  }

  async [Symbol.asyncDispose]() {
    this.child.kill("SIGKILL")
    await this.ended
  }
}

describe("holdfast serve", () => {
  let shop: Shop
  let env: Record<string, string>
  const urlOf = (database: string) => {
    const url = new URL(inject("mysqlUrl"))
    url.pathname = `/${database}`
    return url.href
  }
  beforeAll(async () => {
    shop = await Shop.open()
    env = {
      HOLDFAST_MYSQL_URL: urlOf(shop.database),
      HOLDFAST_REDIS_URL: inject("redisUrl"),
      HOLDFAST_SECRET: TEST_SECRET
    }
  })
  afterAll(() => shop.stop())

  // Guarantees: a process that dies is replaced, and a signal reaches all, however often it is sent.
  test(
    "--processes 2 serves on one port, replaces a process, and ends with 0",
    { timeout: 300_000 },
    async () => {
      const port = await freePort()
      await using served = new Served(["--processes", "2"], {
        ...env,
        PORT: String(port),
        HOLDFAST_DRAIN: "300 millis"
      })
      const serving = await served.saying("serving", 2)
      const pids = serving.map(({ pid }) => Number(pid))
      expect(new Set(pids).size).toBe(2)
      process.kill(pids[0]!, "SIGKILL")
      await served.saying("serving", 3)
      expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
      served.child.kill("SIGTERM")
      await served.saying("stopping", 2)
      served.child.kill("SIGTERM")
      expect(await served.ended).toBe(0)
      expect(served.stderr).toBe("")
    }
  )

  test(
    "--role worker answers for its health and no procedures; a second signal ends nothing early",
    { timeout: 300_000 },
    async () => {
      const port = await freePort()
      await using served = new Served(["--role", "worker"], {
        ...env,
        PORT: String(port),
        HOLDFAST_DRAIN: "1 second"
      })
      await served.saying("serving")
      const status = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status
      expect(await status("/readyz")).toBe(200)
      expect(await status("/trpc/products.page")).toBe(404)
      served.child.kill("SIGTERM")
      await served.saying("stopping")
      served.child.kill("SIGTERM")
      expect(await status("/readyz")).toBe(503)
      expect(await served.ended).toBe(0)
    }
  )

  // Guarantees: no server runs on a schema that it does not know, and none migrates unasked.
  test("refuses a database that lacks migrations, and says what to run", { timeout: 300_000 }, async () => {
    const database = `${shop.database}_older`
    await shop.sql.query(`CREATE DATABASE ${database}`)
    try {
      const older = { ...env, HOLDFAST_MYSQL_URL: urlOf(database), PORT: "0" }
      await using refused = new Served([], older)
      expect(await refused.ended).toBe(2)
      expect(refused.stderr).toMatch(/lacks 0001_first_tables.*run `holdfast migrate` first/)
      await using served = new Served([], { ...older, HOLDFAST_MIGRATE_AT_START: "true" })
      await served.saying("serving")
      served.child.kill("SIGTERM")
      expect(await served.ended).toBe(0)
    } finally {
      await shop.sql.query(`DROP DATABASE ${database}`)
    }
  })

  test("waits for a database that is not there yet, and says so", { timeout: 300_000 }, async () => {
    const database = `${shop.database}_later`
    await using served = new Served([], {
      ...env,
      HOLDFAST_MYSQL_URL: urlOf(database),
      HOLDFAST_MIGRATE_AT_START: "true",
      PORT: "0"
    })
    const [waiting] = await served.saying("waiting for the database")
    expect(waiting).toMatchObject({ level: "Warn", code: "ER_BAD_DB_ERROR", atMostMs: 30_000 })
    await shop.sql.query(`CREATE DATABASE ${database}`)
    try {
      await served.saying("serving")
    } finally {
      await shop.sql.query(`DROP DATABASE ${database}`)
    }
  })

  // Guarantees: signals that keep coming end nothing early, not even the process's own end.
  test("ends with 0 though it is told again and again", { timeout: 300_000 }, async () => {
    const drainMs = 2_000
    await using served = new Served([], { ...env, PORT: "0", HOLDFAST_DRAIN: `${drainMs} millis` })
    await served.saying("serving")
    const startedAtMs = performance.now()
    const signal = setInterval(() => served.child.kill("SIGTERM"), 2)
    try {
      expect(await served.ended).toBe(0)
    } finally {
      clearInterval(signal)
    }
    expect(performance.now() - startedAtMs).toBeGreaterThan(drainMs)
    expect(served.stderr).toBe("")
  })

  // Guarantees: an orchestrator that changes its mind does not wait until the server has started.
  test("ends with 0 at a signal that comes while it waits", { timeout: 300_000 }, async () => {
    await using served = new Served([], {
      ...env,
      HOLDFAST_MYSQL_URL: "mysql://root@127.0.0.1:1/x",
      HOLDFAST_START_WAIT: "1 hour"
    })
    await served.saying("waiting for the database")
    served.child.kill("SIGTERM")
    expect(await served.ended).toBe(0)
    expect(served.stderr).toBe("")
  })

  test(
    "is in no hurry for ever: after HOLDFAST_START_WAIT it ends with 2",
    { timeout: 300_000 },
    async () => {
      await using served = new Served([], {
        ...env,
        HOLDFAST_MYSQL_URL: "mysql://root:hunter2@127.0.0.1:1/x",
        HOLDFAST_START_WAIT: "1 second"
      })
      expect(await served.ended).toBe(2)
      expect(served.stderr).toMatch(/^holdfast: .*127\.0\.0\.1:1/)
      expect(served.stdout + served.stderr).not.toContain("hunter2")
    }
  )

  test("an order that is in flight at the signal gets its answer", { timeout: 300_000 }, async () => {
    const port = await freePort()
    const user = await shop.newUser()
    const sku = await shop.newProduct("IN-FLIGHT", 5, 0)
    await using served = new Served([], { ...env, PORT: String(port) })
    await served.saying("serving")
    const holder = await shop.sql.getConnection()
    await holder.query("BEGIN")
    await holder.query("SELECT 1 FROM products WHERE sku = ? FOR UPDATE", [sku])
    const order = fetch(`http://127.0.0.1:${port}/trpc/orders.create`, {
      method: "POST",
      headers: { authorization: `Bearer ${user.token}`, "content-type": "application/json" },
      body: JSON.stringify({ lines: [{ sku, quantity: 1 }] })
    })
    await eventually(async () => {
      const [rows] = await shop.sql.query(
        "SELECT 1 FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = ? AND info LIKE '%from products force%'",
        [shop.database]
      )
      expect(rows).toHaveLength(1)
    })
    served.child.kill("SIGTERM")
    await served.saying("stopping")
    served.child.kill("SIGINT")
    served.child.kill("SIGTERM")
    await holder.query("ROLLBACK")
    holder.release()
    expect((await order).status).toBe(200)
    expect(await served.ended).toBe(0)
    // Giving up the wait for a row cancels a statement, which is no news.
    expect(served.stderr).toBe("")
    expect((await shop.ok(contract.orders.page, {}, user)).items).toHaveLength(1)
  })
})
