import { contract } from "@holdfast/domain"
import { eventually, startServices } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import { openSocket, statusOf } from "../../../test/raw-socket.ts"
import { lockProducts, Shop } from "../../../test/shop.ts"
import { startPrivateRedis } from "../../../test/private-redis.ts"

const readyz = async (url: string) => {
  const startedAtMs = performance.now()
  const response = await fetch(`${url}/readyz`)
  const { headers, status } = response
  const body = (await response.json()) as Record<string, unknown>
  return { status, body, retryAfter: headers.get("retry-after"), tookMs: performance.now() - startedAtMs }
}

const UP = { status: "ready", database: "up", redis: "up" }

/** An answer within a second, on a machine that is busy with other tests. */
const PROMPT_MS = 2_000

describe("/readyz", () => {
  // Guarantees: a node whose pool is busy stays in the balancer.
  test("says yes while every connection of the pool is taken", async () => {
    await using shop = await Shop.open({ settings: { databaseConnections: 2 } })
    const { url } = shop.servers[0]
    const sku = await shop.newProduct("WAITED-FOR", 1)
    await using lock = await lockProducts(shop)
    const waiting = Array.from({ length: 4 }, () => shop.call(contract.products.bySku, { sku }))
    await eventually(async () => {
      const [rows] = await shop.sql.query(
        "SELECT 1 FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = ? AND info LIKE 'select%from `products`%'",
        [shop.database]
      )
      expect(rows).toHaveLength(2)
    })
    const ready = await readyz(url)
    expect(ready).toMatchObject({ status: 200, body: UP })
    expect(ready.tookMs).toBeLessThan(PROMPT_MS)
    await lock.release()
    expect((await Promise.all(waiting)).every(({ ok }) => ok)).toBe(true)
    const [left] = await shop.sql.query("SELECT 1 FROM set_aside")
    expect(left).toEqual([])
  })

  // Guarantees: a node that cannot write is taken out of the balancer, and comes back by itself.
  test("says no while the database is read-only, and why", async () => {
    await using services = await startServices()
    await using shop = await Shop.open({ mysqlUrl: services.sql.url(), redisUrl: services.redis.url() })
    const { url } = shop.servers[0]
    expect(await readyz(url)).toMatchObject({ status: 200, body: UP, retryAfter: null })
    await shop.sql.query("SET GLOBAL read_only = 1")
    expect(await readyz(url)).toMatchObject({
      status: 503,
      retryAfter: "1",
      body: { status: "not ready", database: "read-only", redis: "up" }
    })
    await shop.sql.query("SET GLOBAL read_only = 0")
    expect(await readyz(url)).toMatchObject({ status: 200, body: UP })
    const blocker = await shop.sql.getConnection()
    await blocker.query("FLUSH TABLES WITH READ LOCK")
    const blocked = await readyz(url)
    await blocker.query("UNLOCK TABLES")
    blocker.release()
    expect(blocked).toMatchObject({ status: 503, body: { database: "down" } })
    expect(blocked.tookMs).toBeLessThan(PROMPT_MS)
    await eventually(async () => expect(await readyz(url)).toMatchObject({ status: 200 }))
  })

  test("tells what Redis refuses, and stays ready: Redis decides nothing", async () => {
    await using redis = await startPrivateRedis()
    await using shop = await Shop.open({ redisUrl: redis.url })
    const { url } = shop.servers[0]
    const reports = (state: string) =>
      eventually(async () =>
        expect(await readyz(url)).toMatchObject({ status: 200, body: { ...UP, redis: state } })
      )
    await reports("up")
    await redis.client.config("SET", "maxmemory", "1")
    await reports("full")
    await redis.client.config("SET", "maxmemory", "0")
    await reports("up")
    await redis.client.replicaof("127.0.0.1", "1")
    await reports("read-only")
    await redis.client.replicaof("NO", "ONE")
    await reports("up")
  })

  // Guarantees: the balancers learn that a server stops before it refuses anybody.
  test("says no first when the server stops, which serves on for as long as it was told", async () => {
    await using shop = await Shop.open({ settings: { drainMs: 1_500 } })
    const { url } = shop.servers[0]
    using kept = await openSocket(url)
    const stopped = shop.servers[0].stop()
    expect(await readyz(url)).toMatchObject({ status: 503, retryAfter: "1", body: { status: "closing" } })
    const answer = await fetch(`${url}/trpc/products.page`)
    expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"])
    kept.socket.write("GET /livez HTTP/1.1\r\nhost: shop\r\n\r\n")
    await eventually(() => expect(statusOf(kept.received())).toBe(200))
    expect(kept.received()).toMatch(/connection: close/i)
    await stopped
    await expect(fetch(`${url}/livez`)).rejects.toThrow()
  })
})

describe("a row that is held from outside", () => {
  // Guarantees: those who wait for one row leave connections to all others.
  test.each(["admin.adjustStock", "orders.cancel"] as const)(
    "and waited for by 40 callers of %s delays no search and no order of other goods",
    async (procedure) => {
      await using shop = await Shop.open()
      const [held, free] = [await shop.newProduct("HELD", 1_000, 0), await shop.newProduct("FREE", 1_000, 0)]
      const user = await shop.newUser()
      const order = (sku: string) =>
        shop.ok(
          contract.orders.create,
          { lines: [{ sku, quantity: 1 }] },
          { token: user.token, idempotencyKey: crypto.randomUUID() }
        )
      const orders = []
      for (let count = 0; count < 40; count += 1) orders.push(await order(held))
      const holder = await shop.sql.getConnection()
      await holder.query("BEGIN")
      await holder.query("SELECT 1 FROM products WHERE sku = ? FOR UPDATE", [held])
      const waiting = orders.map(({ id: orderId }) =>
        procedure === "orders.cancel"
          ? shop.call(contract.orders.cancel, { orderId }, user)
          : shop.call(contract.admin.adjustStock, { sku: held, delta: 1, reason: "test" }, shop.admin)
      )
      await eventually(async () => {
        const [rows] = await shop.sql.query(
          "SELECT 1 FROM information_schema.processlist WHERE db = ? AND command = 'Query' AND info LIKE '%for update%' AND info NOT LIKE '%processlist%'",
          [shop.database]
        )
        expect((rows as ReadonlyArray<unknown>).length).toBeGreaterThan(2)
      })
      const startedAtMs = performance.now()
      await shop.ok(contract.products.search, { text: "FREE" })
      await order(free)
      expect(await readyz(shop.servers[0].url)).toMatchObject({ status: 200 })
      expect(performance.now() - startedAtMs).toBeLessThan(PROMPT_MS)
      await holder.query("ROLLBACK")
      holder.release()
      await Promise.all(waiting)
      await shop.expectRightBooks()
    }
  )
})
