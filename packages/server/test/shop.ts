import { contract, type InputOf, type Procedure } from "@holdfast/domain"
import { randomUUID } from "node:crypto"
import { setTimeout } from "node:timers/promises"
import { createPool, type Pool } from "mysql2/promise"
import { expect, inject } from "vitest"
import type { ServerSettings } from "../src/config.ts"
import { ensureAdmin } from "../src/modules/auth/service.ts"
import { type RunningServer, startServer } from "../src/server.ts"
import { verify } from "../src/verify.ts"
import { type RemoteServer, ServerProcess } from "./processes/server-process.ts"
import { isLeastPrivilegeRun, leastPrivilegedRedis, leastPrivilegedSql } from "./least-privilege.ts"
import { testSettings } from "./settings.ts"
import { type Answer, type CallOptions, makeRawClient, type RawClient } from "./raw-client.ts"

export { testSettings } from "./settings.ts"

export interface TestUser {
  readonly id: string
  readonly email: string
  readonly token: string
}

export interface ShopOptions {
  /**
   * How many servers share the database; calls go to them in turn. The first runs in the test's own process, the others
   * in a second one. Default 1.
   */
  readonly servers?: number
  readonly settings?: Partial<ServerSettings>
  /** Stores of the test's own, which it may freeze or kill. Default: those shared by the test run. */
  readonly mysqlUrl?: string
  readonly redisUrl?: string
  /** The process of the servers after the first. Default: the one that all tests of a file share. */
  readonly process?: ServerProcess
}

/** `HOLDFAST_TEST_LOG=Error` shows the defect behind a masked error. */
const LOG_LEVEL = (process.env["HOLDFAST_TEST_LOG"] ?? "None") as "None" | "Error" | "Info"

type Servers = readonly [RunningServer, ...ReadonlyArray<RemoteServer>]

/** How long `ok` repeats a call that is answered with `RequestInProgress`. */
const IN_PROGRESS_DEADLINE_MS = 20_000

/** An error response as an exception; races count outcomes by `_tag`. */
export class Refused extends Error {
  readonly _tag: string
  readonly status: number
  constructor(tag: string, status: number, body: string) {
    super(`${status} ${body}`)
    this._tag = tag
    this.status = status
  }
}

/** A new database with servers on it. `stop` drops it. */
export class Shop {
  readonly database: string
  readonly servers: Servers
  /** Plain SQL, to inspect and to damage rows. */
  readonly sql: Pool
  readonly admin: TestUser
  private readonly clients: ReadonlyArray<RawClient>
  private readonly settings: ServerSettings
  private readonly beside: Array<RunningServer> = []
  private nextClient = 0

  private constructor(
    database: string,
    settings: ServerSettings,
    servers: Servers,
    sql: Pool,
    admin: TestUser
  ) {
    this.database = database
    this.settings = settings
    this.servers = servers
    this.sql = sql
    this.admin = admin
    this.clients = servers.map((server) => makeRawClient(server.url))
  }

  static async open(options: ShopOptions = {}): Promise<Shop> {
    const database = `t_${randomUUID().replaceAll("-", "")}`
    const base = new URL(options.mysqlUrl ?? inject("mysqlUrl"))
    const sql = createPool({ uri: base.href, connectionLimit: 4, timezone: "Z", supportBigNumbers: true })
    await sql.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`)
    base.pathname = `/${database}`
    const mysqlUrl = isLeastPrivilegeRun ? await leastPrivilegedSql(sql, base.href) : base.href
    const redisUrl = options.redisUrl ?? (await sharedRedis())
    await sql.end()
    const settings = testSettings(mysqlUrl, redisUrl, options.settings)
    const [first, ...others] = await Promise.all([
      startServer(settings, { logLevel: LOG_LEVEL }),
      ...Array.from({ length: (options.servers ?? 1) - 1 }, () =>
        (options.process ?? ServerProcess.get()).start(settings, LOG_LEVEL)
      )
    ])
    const password = "the admin's password"
    await first.runtime.runPromise(ensureAdmin("admin@shop.test", password))
    const admin = await logIn(makeRawClient(first.url), "admin@shop.test", password)
    const pool = createPool({ uri: base.href, connectionLimit: 4, timezone: "Z", supportBigNumbers: true })
    return new Shop(database, settings, [first, ...others], pool, admin)
  }

  /** Starts another server in the test's own process. `call` does not use it. */
  async openBeside(
    overrides: Partial<ServerSettings> = {},
    logLevel: ServerSettings["logLevel"] = LOG_LEVEL
  ): Promise<RunningServer> {
    const server = await startServer({ ...this.settings, ...overrides }, { logLevel })
    this.beside.push(server)
    return server
  }

  /** Calls the next server in turn. */
  call<P extends Procedure>(procedure: P, input: InputOf<P>, options?: CallOptions): Promise<Answer<P>> {
    const client = this.clients[this.nextClient++ % this.clients.length]!
    return client(procedure, input, options)
  }

  /**
   * A call that must succeed: an error response is thrown as {@link Refused}. Like the SDK it repeats the call, with the
   * same idempotency key, while an earlier request is in progress.
   */
  async ok<P extends Procedure>(
    procedure: P,
    input: InputOf<P>,
    options?: CallOptions
  ): Promise<P["output"]["Encoded"]> {
    const deadlineMs = performance.now() + IN_PROGRESS_DEADLINE_MS
    for (;;) {
      const answer = await this.call(procedure, input, options)
      if (answer.ok) return answer.value
      const isInProgress = answer.tag === "RequestInProgress" && performance.now() < deadlineMs
      if (!isInProgress) throw new Refused(answer.tag, answer.status, answer.body)
      await setTimeout(Number(answer.error["retryAfterMs"]) * (0.5 + Math.random()))
    }
  }

  async newUser(points = 0): Promise<TestUser> {
    const email = `${randomUUID()}@shop.test`
    await this.ok(contract.auth.register, { email, password: "a password" })
    const user = await logIn(this.clients[0]!, email, "a password")
    if (points > 0)
      await this.ok(
        contract.admin.grantPoints,
        { userId: user.id, amount: points, reason: "test" },
        this.admin
      )
    return user
  }

  newUsers(count: number, points = 0): Promise<ReadonlyArray<TestUser>> {
    return Promise.all(Array.from({ length: count }, () => this.newUser(points)))
  }

  async newProduct(sku: string, initialStock: number, priceMinor = 100): Promise<string> {
    await this.ok(contract.admin.createProduct, { sku, name: sku, priceMinor, initialStock }, this.admin)
    return sku
  }

  async stockOf(sku: string): Promise<number> {
    return (await this.ok(contract.products.bySku, { sku })).stock
  }

  verify() {
    return this.servers[0].runtime.runPromise(verify)
  }

  /** Expects that no audit check finds a problem. */
  async expectRightBooks(): Promise<void> {
    const report = await this.verify()
    expect(report.checks.filter((check) => !check.ok)).toEqual([])
  }

  async stop(): Promise<void> {
    await Promise.all([...this.servers, ...this.beside].map((server) => server.stop()))
    await this.sql.query(`DROP DATABASE ${this.database}`)
    await this.sql.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

const logIn = async (client: RawClient, email: string, password: string): Promise<TestUser> => {
  const answer = await client(contract.auth.login, { email, password })
  if (!answer.ok) throw new Error(`the login failed: ${answer.body}`)
  return { id: answer.value.user.id, email, token: answer.value.accessToken }
}

/** A Redis of the test's own may be killed, and with it its users. */
const sharedRedis = async (): Promise<string> =>
  isLeastPrivilegeRun ? leastPrivilegedRedis(inject("redisUrl")) : inject("redisUrl")

/** Keeps every query of a product waiting. */
export const lockProducts = async (shop: Shop) => {
  const holder = await shop.sql.getConnection()
  await holder.query("LOCK TABLES products WRITE")
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    await holder.query("UNLOCK TABLES")
    holder.release()
  }
  return { release, [Symbol.asyncDispose]: release }
}
