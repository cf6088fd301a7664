import { contract } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { Effect, Redacted } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { text } from "node:stream/consumers"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type PrivateRedis, startPrivateRedis } from "../test/private-redis.ts"
import { snapshot, swapIn } from "../test/saved-tables.ts"
import { issuedOf, manyUsers, newCoupon, patiently } from "../test/sale.ts"
import { makeRawClient } from "../test/raw-client.ts"
import { subscribe } from "../test/subscribe.ts"
import { Refused, Shop, type TestUser } from "../test/shop.ts"
import type { App } from "./app.ts"
import { Epochs } from "./platform/db/epochs.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { beginEpoch } from "./platform/db/new-epoch.ts"
import { verify } from "./verify.ts"

const QUANTITY = 12
const BEFORE = 5
const CALLERS = 20
const SKU = "tea"

/** Notes which events reach the receiver of the webhooks. */
const startReceiver = async () => {
  const received: Array<{ readonly eventId: string; readonly orderId: string }> = []
  const server = createServer((request, response) => {
    void text(request).then((body) => answer(body, request, response))
  })
  const answer = (body: string, request: IncomingMessage, response: ServerResponse) => {
    const { orderId } = JSON.parse(body) as { readonly orderId: string }
    received.push({ eventId: String(request.headers["holdfast-event"]), orderId })
    response.end()
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${port}/hook`, received, stop }
}

const webhookTo = (url: string) => ({
  url,
  secret: Redacted.make("a secret of the tests"),
  formerSecrets: [],
  timeoutMs: 5_000,
  firstRetryMs: 100,
  maximumAttempts: 12
})

describe.each([
  ["under running servers", 2],
  ["while no server runs", 1]
] as const)("a database that is restored from an older backup while Redis survives, %s", (when, servers) => {
  let redis: PrivateRedis
  let receiver: Awaited<ReturnType<typeof startReceiver>>
  let shop: Shop
  let call: Shop["ok"]
  let buyer: TestUser
  beforeAll(async () => {
    redis = await startPrivateRedis()
    receiver = await startReceiver()
    const settings = {
      workers: true,
      cache: { freshMs: 5_000, staleMs: 30_000 },
      webhook: webhookTo(receiver.url)
    }
    shop = await Shop.open({ servers, redisUrl: redis.url, settings })
    call = shop.ok.bind(shop)
    await shop.newProduct(SKU, 10_000, 100)
    buyer = await shop.newUser(100_000)
  })
  afterAll(async () => {
    await shop.stop()
    await receiver.stop()
    await redis.stop()
  })

  const buy = async () => {
    const order = await patiently(() =>
      call(contract.orders.create, { lines: [{ sku: SKU, quantity: 1 }] }, buyer)
    )
    await patiently(() => call(contract.payments.process, { orderId: order.id }, buyer))
    return order.id
  }
  const issueTo = ({ token }: TestUser, couponId: string) =>
    patiently(() => call(contract.coupons.issue, { couponId }, { token }))
  const delivered = (orderIds: ReadonlyArray<string>) =>
    eventually(
      () => {
        const known = new Set(receiver.received.map(({ orderId }) => orderId))
        expect(orderIds.filter((id) => !known.has(id))).toEqual([])
      },
      { timeoutMs: 10_000 }
    )
  const stateOf = async () => {
    const [rows] = await shop.sql.query(
      "SELECT epoch, beat, (SELECT MAX(id) + 1 FROM outbox) AS next FROM installation"
    )
    return (rows as unknown as ReadonlyArray<{ epoch: number; beat: number; next: number }>)[0]!
  }

  /** Sells a part, takes a backup, sells the rest, so that Redis and the receiver know what the backup does not. */
  const sellOnBothSidesOfABackup = async () => {
    const { id: couponId } = await newCoupon(shop, { quantity: QUANTITY })
    const users = await manyUsers(shop, CALLERS)
    await race(BEFORE, (caller) => issueTo(users[caller]!, couponId))
    await delivered([await buy()])
    const stock = await shop.stockOf(SKU)
    const saved = await stateOf()
    const tables = await snapshot(shop)
    const lost = await Promise.all([buy(), buy(), buy()])
    await race(QUANTITY - BEFORE, (caller) => issueTo(users[BEFORE + caller]!, couponId))
    expect(await issuedOf(shop, couponId)).toBe(QUANTITY)
    await delivered(lost)
    await shop.ok(contract.products.topSellers, {})
    await eventually(async () => expect((await stateOf()).beat).toBeGreaterThan(saved.beat + 1_500_000))
    return { couponId, saved, stock, tables, users }
  }

  // Guarantees: after a restore exactly N coupons exist by the restored books, no event id names two events, and the
  // audit is right again by itself.
  test("sells on by the restored books", async () => {
    const { couponId, saved, stock, tables, users } = await sellOnBothSidesOfABackup()
    const watching = subscribe(shop.servers[0].url, contract.products.watchStock, { sku: SKU })
    expect((await watching.next())?.data).toEqual({ sku: SKU, stock: stock - 3 })
    if (when === "while no server runs") await shop.servers[0].stop()
    await swapIn(shop.sql, tables, saved.next)
    const server = when === "while no server runs" ? await shop.openBeside() : shop.servers[0]
    if (when === "while no server runs") call = okOf(server.url)
    const bought = [await buy(), await buy()]
    const sale = await race(CALLERS - BEFORE, (caller) => issueTo(users[BEFORE + caller]!, couponId))
    expectExactly(sale, QUANTITY - BEFORE)
    expectExactly(sale, CALLERS - QUANTITY, "CouponSoldOut")
    await eventually(async () => expect((await stateOf()).epoch).toBeGreaterThan(saved.epoch))
    await eventually(async () => {
      const { checks } = await server.runtime.runPromise(verify)
      expect(checks.filter(({ ok }) => !ok)).toEqual([])
    })
    for (let nth = 0; nth < servers; nth += 1)
      expect((await call(contract.products.bySku, { sku: SKU })).stock).toBe(stock - 2)
    if (when === "under running servers") {
      let shown: unknown
      while (JSON.stringify(shown) !== JSON.stringify({ sku: SKU, stock: stock - 2 }))
        shown = (await watching.next())?.data
    }
    watching.close()
    await delivered([...bought, await buy()])
    expectNoIdOfTwo(receiver.received)
  }, 60_000)
})

/** Every event has an id of its own, the lost ones included. */
const expectNoIdOfTwo = (received: ReadonlyArray<{ readonly eventId: string; readonly orderId: string }>) => {
  const orderOf = new Map<string, string>()
  for (const { eventId, orderId } of received) {
    expect(orderOf.get(eventId) ?? orderId).toBe(orderId)
    orderOf.set(eventId, orderId)
  }
}

const okOf = (url: string): Shop["ok"] => {
  const client = makeRawClient(url)
  return async (procedure, input, options) => {
    const answer = await client(procedure, input, options)
    if (!answer.ok) throw new Refused(answer.tag, answer.status, answer.body)
    return answer.value
  }
}

describe("the epoch", () => {
  let redis: PrivateRedis
  let shop: Shop
  beforeAll(async () => {
    redis = await startPrivateRedis()
    shop = await Shop.open({ redisUrl: redis.url })
  })
  afterAll(async () => {
    await shop.stop()
    await redis.stop()
  })
  const stateOf = async () => {
    const [rows] = await shop.sql.query(
      "SELECT epoch, beat, CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) AS now FROM installation"
    )
    return (rows as unknown as ReadonlyArray<{ epoch: number; beat: number; now: number }>)[0]!
  }
  const run = <A>(effect: Effect.Effect<A, unknown, App>) => shop.servers[0].runtime.runPromise(effect)

  // Guarantees: of all processes that notice a restore at the same time, one begins the new epoch.
  test("begins once, however many notice", async () => {
    const { epoch, now } = await stateOf()
    const seen = await race(8, () => run(beginEpoch({ epoch, mark: now + 60_000_000, restAtLeastUs: 0 })))
    expect(seen.fulfilled.filter(({ value }) => value)).toHaveLength(1)
    expect(seen.fulfilled).toHaveLength(8)
    const part = `${(await stateOf()).epoch}:`
    await eventually(async () => expect(await run(KeyNamespace.use((names) => names.epoch))).toBe(part))
  })

  // Guarantees: whoever writes to Redis can begin an epoch every ten seconds, and no more often.
  test("does not follow what Redis says for long", async () => {
    const prefix = await run(KeyNamespace.use((names) => names.prefix))
    const look = () => run(Epochs.use((epochs) => Effect.ignore(epochs.look)))
    const before = await stateOf()
    for (const lie of ["", "x", "-5", "1", "9007199254740991", "99999999999999999999"]) {
      await redis.client.set(`${prefix}beat`, lie)
      await look()
    }
    await redis.client.del(`${prefix}beat`)
    await redis.client.rpush(`${prefix}beat`, "a list")
    await look()
    expect((await stateOf()).epoch).toBe(before.epoch)
    await shop.sql.query("UPDATE installation SET epoch = epoch - 20000000")
    const epochs = new Set<number>()
    for (let nth = 0; nth < 30; nth += 1) {
      const { now } = await stateOf()
      await redis.client.set(`${prefix}beat`, now)
      await look()
      epochs.add((await stateOf()).epoch)
    }
    expect(epochs.size).toBe(1)
    expect([...epochs][0]).toBeGreaterThan(before.epoch)
  })
})
