import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Effect, Fiber } from "effect"
import { sql } from "kysely"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import { type ServerBehindProxy, serverBehindProxy } from "../../../test/behind-proxy.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { db } from "./database.ts"
import { inTransaction, tx } from "./transaction.ts"

/** What the service promises: whole again within this time after the network. */
const WHOLE_WITHIN_MS = 5_000

/** A request that a silent store concerns is answered within this time. */
const ANSWERED_WITHIN_MS = 10_000

let shop: Shop
let user: TestUser
useShop({}, async (opened) => {
  shop = opened
  user = await shop.newUser()
  await shop.newProduct("tea", 100_000)
})

const read = ({ call }: ServerBehindProxy) => call(contract.products.bySku, { sku: "tea" })
const order = ({ call }: ServerBehindProxy, idempotencyKey: string = crypto.randomUUID()) =>
  call(
    contract.orders.create,
    { lines: [{ sku: "tea", quantity: 1 }] },
    { token: user.token, idempotencyKey }
  )
const reads = (behind: ServerBehindProxy, count: number) =>
  Promise.all(Array.from({ length: count }, () => timed(() => read(behind))))

const timed = async <A>(call: () => Promise<A>) => {
  const startedAtMs = performance.now()
  const answer = await call()
  return { answer, tookMs: performance.now() - startedAtMs }
}

/** Fills the pool, so that all of its connections exist. */
const fillPool = async (behind: ServerBehindProxy) => {
  const sleeping = () => db.first(() => sql`select sleep(0.3)`)
  await Promise.all(Array.from({ length: 16 }, () => behind.server.runtime.runPromise(sleeping())))
  expect(openOf(behind)).toBeGreaterThanOrEqual(16)
}
const refused = ({ proxy }: ServerBehindProxy) =>
  proxy.log.filter(({ what }) => what === "turned away").length
const openOf = ({ proxy }: ServerBehindProxy) => proxy.connections.filter(({ isOpen }) => isOpen).length

/** Expects that from now on, within the promised time, every one of many requests succeeds. Returns the time. */
const expectWhole = async (behind: ServerBehindProxy): Promise<number> => {
  const startedAtMs = performance.now()
  await eventually(
    async () => {
      const answers = await Promise.all(Array.from({ length: 32 }, () => read(behind)))
      expect(answers.filter(({ ok }) => !ok)).toEqual([])
      expect((await order(behind)).ok).toBe(true)
    },
    { timeoutMs: WHOLE_WITHIN_MS, everyMs: 50 }
  )
  const tookMs = performance.now() - startedAtMs
  console.log(`whole after ${Math.round(tookMs)} ms`)
  return tookMs
}

describe("silent connections to the database", () => {
  test("all connections of the pool go silent while they are idle", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    await fillPool(behind)
    behind.proxy.halfOpen()
    // Idle for long enough to be asked before they are used, so no request is lost.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    for (const { answer, tookMs } of await reads(behind, 32)) {
      expect(answer.ok).toBe(true)
      expect(tookMs).toBeLessThan(WHOLE_WITHIN_MS)
    }
    await expectWhole(behind)
  })

  test("a new connection that goes silent while it is set up is replaced", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    behind.proxy.cutAll()
    const silenced = behind.proxy.cut({ when: "before", how: "halfOpen", match: /^SET SESSION/, times: 16 })
    for (const { tookMs } of await reads(behind, 16)) expect(tookMs).toBeLessThan(WHOLE_WITHIN_MS)
    await silenced.fired
    await expectWhole(behind)
  })

  test("all connections of the pool go silent while statements are in flight", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    await fillPool(behind)
    const sleeping = () => Effect.exit(db.first(() => sql`select sleep(0.8)`))
    const inFlight = Array.from({ length: 16 }, () =>
      timed(() => behind.server.runtime.runPromise(sleeping()))
    )
    await eventually(() => expect(behind.proxy.count("SELECT")).toBeGreaterThanOrEqual(32))
    behind.proxy.halfOpen()
    await expectWhole(behind)
    for (const { tookMs } of await Promise.all(inFlight)) expect(tookMs).toBeLessThan(ANSWERED_WITHIN_MS)
  })

  test("4 of 16 connections go silent: at most their own requests are lost, once", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    await fillPool(behind)
    const silenced = behind.proxy.cut({ when: "before", how: "halfOpen", match: /from `products`/, times: 4 })
    const hit = await reads(behind, 16)
    await silenced.fired
    expect(hit.filter(({ answer }) => !answer.ok).length).toBeLessThanOrEqual(4)
    for (const { tookMs } of hit) expect(tookMs).toBeLessThan(ANSWERED_WITHIN_MS)
    await expectWhole(behind)
  })

  // Guarantees: a session whose client is gone holds no row locks for long, although the server has not heard of it.
  test("a transaction that goes silent frees its rows", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    const held = behind.proxy.hold({ when: "before", match: /insert into `orders`/, timeoutMs: 60_000 })
    const lost = timed(() => order(behind))
    await held.fired
    const other = timed(() => shop.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, user))
    expect((await other).tookMs).toBeLessThan(WHOLE_WITHIN_MS)
    expect((await lost).tookMs).toBeLessThan(ANSWERED_WITHIN_MS)
    expect((await lost).answer).toMatchObject({ ok: false, tag: "ServiceUnavailable" })
    held.release()
    await expectWhole(behind)
  })

  test("a COMMIT whose reply is lost in silence is decided by the idempotency key", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    const held = behind.proxy.hold({ when: "after", match: /^commit/i, timeoutMs: 60_000 })
    const first = await order(behind, "silent-commit")
    expect(first).toMatchObject({ ok: false, tag: "ServiceUnavailable" })
    const before = await shop.stockOf("tea")
    const second = await order(behind, "silent-commit")
    expect(second.ok).toBe(true)
    expect(await shop.stockOf("tea")).toBe(before)
    held.release()
  })

  test("an answer that is on its way is waited for", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    behind.proxy.latency({ ms: 450, direction: "reply", match: /sleep/ })
    const slow = db.first(() => sql<{ s: number }>`select sleep(1.1) as s`)
    expect(await behind.server.runtime.runPromise(slow)).toEqual({ s: 0 })
  })

  test("a slow statement that the server works on is not disturbed", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    const slow = db.first(() => sql<{ s: number }>`select sleep(4) as s`)
    expect(await behind.server.runtime.runPromise(slow)).toEqual({ s: 0 })
  })
})

describe("a silent network to the database", () => {
  test("nobody waits while it is known, and the service is whole soon after it is back", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    await fillPool(behind)
    behind.proxy.freeze()
    for (const { answer, tookMs } of await reads(behind, 24)) {
      expect(answer).toMatchObject({ ok: false, tag: "ServiceUnavailable" })
      expect(tookMs).toBeLessThan(ANSWERED_WITHIN_MS)
    }
    // The breaker is open: none of these waits for a connection.
    for (const { answer, tookMs } of await reads(behind, 40)) {
      expect(answer).toMatchObject({ ok: false, tag: "ServiceUnavailable" })
      expect(tookMs).toBeLessThan(2_000)
    }
    const ready = await fetch(`${behind.server.url}/readyz`)
    expect([ready.status, await ready.json()]).toMatchObject([503, { database: "down" }])
    expect((await fetch(`${behind.server.url}/livez`)).status).toBe(200)
    const connectsBefore = behind.proxy.connections.length
    behind.proxy.thaw()
    await expectWhole(behind)
    expect(behind.proxy.connections.length - connectsBefore).toBeLessThan(30)
    expect((await fetch(`${behind.server.url}/readyz`)).status).toBe(200)
  })

  test("a database that refuses connections is not asked by every request", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    await behind.proxy.refuse()
    behind.proxy.cutAll("reset")
    await reads(behind, 32)
    const before = refused(behind)
    for (const { answer } of await reads(behind, 200))
      expect(answer).toMatchObject({ ok: false, tag: "ServiceUnavailable" })
    // Only the probe asks.
    expect(refused(behind) - before).toBeLessThan(30)
    await behind.proxy.accept()
    await expectWhole(behind)
  })

  test("a server stops in time", async () => {
    await using behind = await serverBehindProxy(shop, "mysql", { shutdownMs: 500 })
    behind.server.runtime.runFork(db.rows(() => sql`select sleep(30) /* at the stop */`))
    await running("at the stop", 1)
    behind.proxy.freeze()
    expect((await timed(() => behind.server.stop())).tookMs).toBeLessThan(ANSWERED_WITHIN_MS)
  })

  test("sessions that were given up are ended on the server", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    await fillPool(behind)
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = ?",
      [shop.database]
    )
    behind.proxy.freeze("request")
    await reads(behind, 16)
    behind.proxy.thaw()
    await expectWhole(behind)
    await eventually(async () => {
      const [now] = await shop.sql.query<Array<RowDataPacket>>(
        "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = ?",
        [shop.database]
      )
      expect(Number(now[0]?.["n"])).toBeLessThanOrEqual(Number(rows[0]?.["n"]) + 2)
    })
  })

  test("a KILL QUERY that cannot connect ends by its own deadline", async () => {
    await using behind = await serverBehindProxy(shop, "mysql")
    const fiber = behind.server.runtime.runFork(
      inTransaction(tx.rows(() => sql`select sleep(60) /* to be cancelled */`))
    )
    await eventually(() => expect(behind.proxy.log.length).toBeGreaterThan(0))
    await running("to be cancelled", 1)
    behind.proxy.freeze()
    const { tookMs } = await timed(() => Effect.runPromise(Fiber.interrupt(fiber)))
    expect(tookMs).toBeLessThan(ANSWERED_WITHIN_MS)
    behind.proxy.thaw()
    await running("to be cancelled", 0)
    await expectWhole(behind)
  })
})

/** Waits until so many statements with this text run on the server. */
const running = (text: string, count: number) =>
  eventually(async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = ? AND info LIKE ? AND info NOT LIKE '%processlist%'",
      [shop.database, `%${text}%`]
    )
    expect(Number(rows[0]?.["n"])).toBe(count)
  })
