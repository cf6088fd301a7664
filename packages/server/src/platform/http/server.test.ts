import { contract } from "@holdfast/domain"
import { eventually, startServices } from "@holdfast/testkit"
import { createServer } from "node:net"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { startServer } from "../../server.ts"
import { bytesOf } from "../db/ids.ts"
import { Shop, testSettings } from "../../../test/shop.ts"

const shopId = "01890a5d-ac96-774b-bcce-b302099a8057"

describe("the HTTP server", () => {
  let shop: Shop
  let url: string
  beforeAll(async () => {
    shop = await Shop.open()
    url = shop.servers[0].url
  })
  afterAll(() => shop.stop())

  test("the health checks report a live, ready server and its stores", async () => {
    expect(await (await fetch(`${url}/livez`)).json()).toEqual({ status: "alive" })
    const ready = await fetch(`${url}/readyz`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).toEqual({ status: "ready", database: "up", redis: "up" })
  })

  test("a server is ready without Redis, not without the database, and again once both are back", async () => {
    await using services = await startServices()
    await using own = await Shop.open({ mysqlUrl: services.sql.url(), redisUrl: services.redis.url() })
    const ready = async () => {
      const response = await fetch(`${own.servers[0].url}/readyz`)
      return [response.status, await response.json()] as const
    }
    await services.redis.kill()
    await eventually(async () =>
      expect(await ready()).toEqual([200, { status: "ready", database: "up", redis: "down" }])
    )
    await services.redis.restart()
    await services.sql.kill()
    await eventually(async () =>
      expect(await ready()).toMatchObject([503, { status: "not ready", database: "down" }])
    )
    await services.sql.restart()
    await eventually(
      async () => expect(await ready()).toEqual([200, { status: "ready", database: "up", redis: "up" }]),
      { timeoutMs: 20_000 }
    )
  })

  test("the OpenAPI document and its page are served", async () => {
    const document = await (await fetch(`${url}/openapi.json`)).json()
    expect(document).toMatchObject({ info: { title: "Holdfast" }, paths: { "/trpc/orders.create": {} } })
    const page = await fetch(`${url}/docs/`)
    expect(page.status).toBe(200)
    expect(await page.text()).toContain("Holdfast API")
  })

  // Guarantees: no token is used that stands in an address, which is logged and shared, but by a subscription.
  test.each([
    ["POST", "points.charge", { amount: 1_000 }],
    ["POST", "points.charge?batch=1", { 0: { amount: 1_000 } }],
    ["POST", "points.charge,points.charge?batch=1", { 0: { amount: 1_000 }, 1: { amount: 1_000 } }],
    ["GET", "points.balance", {}],
    ["GET", "points.balance?batch=1", { 0: {} }],
    ["GET", "points.balance,coupons.mine?batch=1", { 0: {}, 1: {} }],
    // A subscription in the same address opens no door for the others.
    ["GET", "orders.watch,points.balance?batch=1", { 0: { orderId: shopId }, 1: {} }]
  ])("%s %s does not take a token from its address", async (method, target, input) => {
    const { id, token } = await shop.newUser()
    const parameters = new URLSearchParams({
      connectionParams: JSON.stringify({ authorization: `Bearer ${token}` }),
      authorization: `Bearer ${token}`,
      access_token: token,
      ...(method === "GET" ? { input: JSON.stringify(input) } : {})
    })
    const response = await fetch(
      `${url}/trpc/${target}${target.includes("?") ? "&" : "?"}${parameters.toString()}`,
      {
        method,
        headers: {
          "content-type": "application/json",
          "idempotency-key": "in the address".replaceAll(" ", "-")
        },
        ...(method === "POST" ? { body: JSON.stringify(input) } : {})
      }
    )
    expect(response.ok).toBe(false)
    expect(await response.text()).not.toContain('"result"')
    const [rows] = await shop.sql.query("SELECT balance FROM point_accounts WHERE user_id = ?", [bytesOf(id)])
    expect(rows).toEqual([{ balance: 0 }])
  })

  test("every response carries a request id, the caller's own when it is safe", async () => {
    const own = await fetch(`${url}/livez`, { headers: { "x-request-id": "order-42" } })
    expect(own.headers.get("x-request-id")).toBe("order-42")
    const bad = await fetch(`${url}/livez`, { headers: { "x-request-id": 'a "quoted" one' } })
    expect(bad.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    const refused = await shop.call(contract.auth.me, {}, { headers: { "x-request-id": "me-1" } })
    expect(refused.ok ? "" : refused.body).toContain('"requestId":"me-1"')
  })

  test("a defect is masked: no SQL and no stack reach the caller", async () => {
    await shop.sql.query("RENAME TABLE products TO products_away")
    try {
      const answer = await shop.call(contract.products.bySku, { sku: "tea" })
      expect(answer).toMatchObject({ ok: false, status: 500, tag: "INTERNAL_SERVER_ERROR" })
      expect(answer.ok ? "" : answer.body).not.toMatch(/doesn't exist|from products|stack|\.ts/i)
    } finally {
      await shop.sql.query("RENAME TABLE products_away TO products")
    }
  })

  test("malformed JSON, an unknown procedure and a huge body are client errors", async () => {
    const headers = { "content-type": "application/json" }
    expect((await fetch(`${url}/trpc/auth.login`, { method: "POST", headers, body: "{" })).status).toBe(400)
    expect((await fetch(`${url}/trpc/no.such`)).status).toBe(404)
    expect(
      (await fetch(`${url}/trpc/auth.login`, { method: "POST", headers, body: "x".repeat(5_000_000) })).status
    ).toBe(413)
  })

  test("a port in use is a clear error and leaves nothing open", async () => {
    const blocker = createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => blocker.once("listening", resolve))
    const { port } = blocker.address() as { port: number }
    const mysqlUrl = new URL(inject("mysqlUrl"))
    mysqlUrl.pathname = `/${shop.database}`
    const settings = testSettings(mysqlUrl.href, inject("redisUrl"), { port })
    const failure = startServer(settings, { logLevel: "None" })
    await expect(failure).rejects.toMatchObject({ _tag: "ListenFailed", port, reason: "in use" })
    await expect(failure).rejects.toThrow(/set PORT to a free port/)
    blocker.close()
  })

  test("a Redis database that does not exist is a clear error", async () => {
    const redisUrl = new URL(inject("redisUrl"))
    redisUrl.pathname = "/9999"
    const mysqlUrl = new URL(inject("mysqlUrl"))
    mysqlUrl.pathname = `/${shop.database}`
    await expect(
      startServer(testSettings(mysqlUrl.href, redisUrl.href), { logLevel: "None" })
    ).rejects.toThrow("HOLDFAST_REDIS_URL names database 9999, which this Redis does not have")
  })

  test("a stopping server answers the order in flight and refuses later requests", async () => {
    await using own = await Shop.open()
    const server = own.servers[0]
    const user = await own.newUser()
    await own.newProduct("tea", 5)
    const blocker = await own.sql.getConnection()
    await blocker.query("BEGIN")
    await blocker.query("SELECT * FROM products WHERE sku = 'tea' FOR UPDATE")
    const order = own.ok(contract.orders.create, { lines: [{ sku: "tea", quantity: 1 }] }, user)
    await eventually(async () => {
      const [rows] = await own.sql.query(
        "SELECT 1 FROM information_schema.processlist WHERE db = ? AND info LIKE '%from products force%' AND info NOT LIKE '%processlist%'",
        [own.database]
      )
      expect(rows).toHaveLength(1)
    })
    const stopped = server.stop()
    await eventually(() => expect(fetch(`${server.url}/livez`)).rejects.toThrow(/fetch failed/))
    await blocker.query("COMMIT")
    blocker.release()
    expect((await order).status).toBe("PENDING")
    await stopped
    const [rows] = await own.sql.query("SELECT * FROM orders")
    expect(rows).toHaveLength(1)
  })

  // Guarantees: a caller that hangs up stops its work, sooner than any time-out of the server does.
  test("an aborted request rolls back on the server and leaves no order", async () => {
    const user = await shop.newUser()
    await shop.newProduct("aborted", 5)
    const blocker = await shop.sql.getConnection()
    await blocker.query("BEGIN")
    await blocker.query("SELECT * FROM products WHERE sku = 'aborted' FOR UPDATE")
    const abort = new AbortController()
    const order = shop.call(
      contract.orders.create,
      { lines: [{ sku: "aborted", quantity: 1 }] },
      { token: user.token, signal: abort.signal }
    )
    const running = async () => {
      const [rows] = await shop.sql.query(
        "SELECT 1 FROM information_schema.processlist WHERE db = ? AND info LIKE '%from products force%' AND info NOT LIKE '%processlist%'",
        [shop.database]
      )
      return (rows as ReadonlyArray<unknown>).length
    }
    await eventually(async () => expect(await running()).toBe(1))
    abort.abort()
    await expect(order).rejects.toThrow()
    await eventually(async () => expect(await running()).toBe(0), { timeoutMs: 2_500 })
    await blocker.query("COMMIT")
    blocker.release()
    expect(await shop.stockOf("aborted")).toBe(5)
    expect((await shop.ok(contract.orders.page, {}, user)).items).toEqual([])
    await shop.expectRightBooks()
  })
})
