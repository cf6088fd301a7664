import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { setImmediate, setTimeout } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { head, openSocket, sendRaw, statusOf, statusOfGet } from "../../../test/raw-socket.ts"
import { testHttpSettings } from "../../../test/settings.ts"
import { lockProducts, Shop } from "../../../test/shop.ts"
import { subscribe } from "../../../test/subscribe.ts"
import type { HttpSettings } from "../config.ts"
import { networkOf } from "./context.ts"

const openShop = (http: Partial<HttpSettings>) =>
  Shop.open({ settings: { http: { ...testHttpSettings, ...http } } })

describe("a process with as much work as it may have", () => {
  const waitingQueries = async (shop: Shop, count: number) =>
    eventually(async () => {
      const [rows] = await shop.sql.query(
        "SELECT 1 FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = ? AND info LIKE 'select%from `products`%'",
        [shop.database]
      )
      expect(rows).toHaveLength(count)
    })

  test("refuses further calls at once, answers for its health, and goes on when it has room", async () => {
    await using shop = await openShop({ maximumInFlight: 4 })
    const { url } = shop.servers[0]
    await shop.newProduct("BUSY", 1)
    await using lock = await lockProducts(shop)
    const batch = Array.from({ length: 4 }, () => "products.bySku").join(",")
    const inputs = encodeURIComponent(JSON.stringify({ 0: { sku: "BUSY" }, 3: { sku: "BUSY" } }))
    const busy = fetch(`${url}/trpc/${batch}?batch=1&input=${inputs}`)
    await waitingQueries(shop, 2)
    const refused = await fetch(`${url}/trpc/products.page`)
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"])
    expect(await refused.json()).toMatchObject({
      error: {
        data: {
          code: "SERVICE_UNAVAILABLE",
          httpStatus: 503,
          retryable: true,
          retryAfterMs: 1_000,
          requestId: refused.headers.get("x-request-id"),
          domain: { _tag: "ServiceUnavailable", retryAfterMs: 1_000 }
        }
      }
    })
    // Nobody waits for the body of a request that is refused.
    using unfinished = await openSocket(url)
    unfinished.socket.write(
      head("POST /trpc/auth.login", "content-type: application/json", "content-length: 9")
    )
    await eventually(() => expect(statusOf(unfinished.received())).toBe(503))
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    await lock.release()
    expect((await busy).status).toBe(207)
    expect((await fetch(`${url}/trpc/products.page`)).status).toBe(200)
  })

  /** More calls than come at once from callers who each wait for an answer. */
  const MANY = 330

  const openImpatientShop = () =>
    Shop.open({ settings: { databaseConnections: 2, http: { ...testHttpSettings, maximumDelayMs: 300 } } })

  /** The last ones may already be refused. */
  const servesThose = async (waiting: ReadonlyArray<Promise<{ readonly status: number }>>) => {
    const served = (await Promise.all(waiting)).filter(({ status }) => status === 200)
    expect(served.length).toBeGreaterThanOrEqual(320)
  }

  const refusesOthers = ({ servers: [{ url }] }: Shop) =>
    eventually(async () => {
      const { headers, status } = await fetch(`${url}/openapi.json`)
      expect([status, headers.get("retry-after")]).toEqual([503, "1"])
    })

  test("refuses calls that would wait for a connection to the database", async () => {
    await using shop = await openImpatientShop()
    const { url } = shop.servers[0]
    await shop.newProduct("QUEUED", 1)
    await using lock = await lockProducts(shop)
    const waiting = Array.from({ length: MANY }, () => shop.call(contract.products.bySku, { sku: "QUEUED" }))
    await refusesOthers(shop)
    expect(await statusOfGet(url, "/livez")).toBe(200)
    await lock.release()
    await servesThose(waiting)
    await eventually(async () => expect((await fetch(`${url}/openapi.json`)).status).toBe(200))
  })

  test("refuses calls that would wait for their turn in a shared transaction", async () => {
    await using shop = await openImpatientShop()
    const sku = await shop.newProduct("SHARED", 1_000_000)
    await using lock = await lockProducts(shop)
    const waiting = Array.from({ length: MANY }, (_, n) =>
      shop.call(contract.orders.create, { lines: [{ sku, quantity: n + 1 }] }, shop.admin)
    )
    await refusesOthers(shop)
    await lock.release()
    await servesThose(waiting)
  })

  // Guarantees: who waits for an answer before asking again is not shed, however slow the machine is.
  test("serves 256 callers who each wait for their answers", async () => {
    await using shop = await openShop({ maximumInFlight: 1_000, maximumDelayMs: 10 })
    const sku = await shop.newProduct("STEADY", 1)
    const statuses = new Set<number>()
    const caller = async () => {
      for (let nth = 0; nth < 5; nth += 1)
        statuses.add((await shop.call(contract.products.bySku, { sku })).status)
    }
    await using lock = await lockProducts(shop)
    const callers = Array.from({ length: 256 }, caller)
    await waitingQueries(shop, 16)
    await setTimeout(500)
    await lock.release()
    await Promise.all(callers)
    expect([...statuses]).toEqual([200])
  })

  test("does not count those who left, nor bodies that have not arrived", async () => {
    await using shop = await openShop({ maximumInFlight: 2 })
    const { url } = shop.servers[0]
    await shop.newProduct("LEFT", 1)
    await using lock = await lockProducts(shop)
    const page = `/trpc/products.bySku?input=${encodeURIComponent('{"sku":"LEFT"}')}`
    const leaving = await Promise.all([openSocket(url), openSocket(url)])
    for (const { socket } of leaving) socket.write(head(`GET ${page}`))
    await waitingQueries(shop, 2)
    expect(await statusOfGet(url, "/openapi.json")).toBe(503)
    for (const { socket } of leaving) socket.destroy()
    await eventually(async () => expect(await statusOfGet(url, "/openapi.json")).toBe(200))
    const slow = await Promise.all([openSocket(url), openSocket(url), openSocket(url)])
    const post = head("POST /trpc/auth.login", "content-type: application/json", "content-length: 1000")
    for (const { socket } of slow) socket.write(`${post}{`)
    await setImmediate()
    expect(await statusOfGet(url, "/openapi.json")).toBe(200)
    for (const { socket } of slow) socket.destroy()
    await lock.release()
  })

  test("admits no more calls whose bodies come late, all at once", async () => {
    await using shop = await openShop({ maximumInFlight: 2 })
    const { url } = shop.servers[0]
    await shop.newProduct("LATE", 9)
    await using lock = await lockProducts(shop)
    const body = JSON.stringify({ lines: [{ sku: "LATE", quantity: 1 }] })
    const order = head(
      "POST /trpc/orders.create",
      `authorization: Bearer ${shop.admin.token}`,
      "content-type: application/json",
      `content-length: ${body.length}`
    )
    const open = await Promise.all(Array.from({ length: 6 }, () => openSocket(url)))
    for (const { socket } of open) socket.write(order)
    expect(await statusOfGet(url, "/openapi.json")).toBe(200)
    for (const { socket } of open) socket.write(body)
    const answered = (status: number) => open.filter(({ received }) => statusOf(received()) === status).length
    await eventually(() => expect(answered(503)).toBe(4))
    await lock.release()
    await eventually(() => expect(answered(503) + answered(200) + answered(409)).toBe(6))
    for (const { socket } of open) socket.destroy()
  })

  test("takes no more large bodies than it has memory for", async () => {
    await using shop = await openShop({})
    const { url } = shop.servers[0]
    const upload = (length: number) =>
      head("POST /trpc/orders.create", "content-type: application/json", `content-length: ${length}`)
    const open = await Promise.all(Array.from({ length: 64 }, () => openSocket(url)))
    for (const { socket } of open) socket.write(`${upload(1024 * 1024)}{`)
    const large = JSON.stringify({ lines: [], padding: "x".repeat(20_000) })
    const isRefused = async (status: string) => {
      using raw = await openSocket(url)
      raw.socket.write(upload(large.length) + large)
      await eventually(() => expect(raw.received()).toContain(status))
    }
    await isRefused(" 503 ")
    expect((await shop.call(contract.auth.login, { email: "a@b.test", password: "x" })).status).toBe(401)
    for (const { socket } of open) socket.destroy()
    await eventually(() => isRefused(" 401 "))
  })

  test("has a bounded number of connections, and a few more to say so and to answer for its health", async () => {
    await using shop = await openShop({ maximumConnections: 3 })
    const { url } = shop.servers[0]
    const open = await Promise.all([openSocket(url), openSocket(url), openSocket(url)])
    const refused = await sendRaw(url, head("GET /openapi.json"))
    expect(refused).toMatch(/^HTTP\/1\.1 503 [^]*retry-after: 1\r\n[^]*"_tag":"ServiceUnavailable"/i)
    expect(await statusOfGet(url, "/livez")).toBe(200)
    for (const { socket } of open) socket.destroy()
    await eventually(async () => expect(await statusOfGet(url, "/openapi.json")).toBe(200))
  })
})

test.each([
  ["203.0.113.7", "203.0.113.7"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8::7", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"]
])("the caller at %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network)
})

describe("the subscriptions of one caller", () => {
  test("are bounded: others still find room, and who ends one may open another", async () => {
    await using shop = await Shop.open({ settings: { maximumSubscriptionsPerCaller: 2 } })
    const { url } = shop.servers[0]
    const sku = await shop.newProduct("WATCHED", 5)
    const user = await shop.newUser()
    const watch = (token?: string) => subscribe(url, contract.products.watchStock, { sku }, token)
    const refusal = [
      { event: "serialized-error", data: { data: { domain: { _tag: "TooManySubscriptions", maximum: 2 } } } }
    ]
    for (const token of [user.token, undefined]) {
      const [first, second] = [watch(token), watch(token)]
      await Promise.all([first.next(), second.next()])
      expect(await watch(token).all()).toMatchObject(refusal)
      first.close()
      await eventually(async () => {
        const third = watch(token)
        const event = await third.next()
        third.close()
        expect(event?.data).toMatchObject({ stock: 5 })
      })
    }
  })
})
