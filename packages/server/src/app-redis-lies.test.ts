import { contract } from "@holdfast/domain"
import { Locks } from "@holdfast/locks"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type PrivateRedis, startPrivateRedis } from "../test/private-redis.ts"
import { issue, issuedOf, manyUsers, newCoupon, patiently } from "../test/sale.ts"
import { Shop } from "../test/shop.ts"
import { subscribe } from "../test/subscribe.ts"

/** The keys and channels of `docs/redis-keys.md`: the first column of its tables. */
const documented = [
  ...readFileSync(new URL("../../../docs/redis-keys.md", import.meta.url), "utf8").matchAll(/^\| `([^`]+)`/gm)
].map(([, pattern]) => pattern!)

const isOf = (pattern: string, key: string): boolean => {
  const parts = pattern.split(/<[^>]+>/).map((part) => part.replaceAll(/[{}:./@]/g, String.raw`\$&`))
  return new RegExp(`^${parts.join(".+")}$`, "s").test(key)
}

describe("a shop whose Redis lies", () => {
  let redis: PrivateRedis
  let shop: Shop
  /** Every key and channel that a command has named. */
  const named = new Set<string>()
  let stopListening: () => void
  const sku = "tea"
  const priceMinor = 100
  beforeAll(async () => {
    redis = await startPrivateRedis()
    stopListening = await listenForKeys(redis, named)
    shop = await Shop.open({
      servers: 2,
      redisUrl: redis.url,
      settings: { workers: true, cache: { freshMs: 5_000, staleMs: 30_000 } }
    })
    await shop.newProduct(sku, 10_000, priceMinor)
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    stopListening()
    await shop.stop()
    await redis.stop()
  })

  /** An order, its payment, a race for coupons and a watched stock, each with the answers that the books give. */
  const trade = async (couponId: string) => {
    expect((await fetch(`${shop.servers[0].url}/readyz`)).status).toBe(200)
    const buyer = await shop.newUser(1_000)
    const stock = await shop.stockOf(sku)
    const watching = subscribe(shop.servers[0].url, contract.products.watchStock, { sku })
    expect((await watching.next())?.data).toEqual({ sku, stock })
    const keyed = (idempotencyKey: string) => ({ token: buyer.token, idempotencyKey })
    const order = await patiently(() =>
      shop.ok(contract.orders.create, { lines: [{ sku, quantity: 2 }] }, keyed("the-order"))
    )
    expect(order.totalMinor).toBe(2 * priceMinor)
    expect((await watching.next())?.data).toEqual({ sku, stock: stock - 2 })
    watching.close()
    await patiently(() => shop.ok(contract.payments.process, { orderId: order.id }, keyed("the-payment")))
    for (let server = 0; server < 2; server += 1) {
      expect(await shop.stockOf(sku)).toBe(stock - 2)
      expect(await shop.ok(contract.points.balance, {}, buyer)).toEqual({ balance: 1_000 - 2 * priceMinor })
      await shop.ok(contract.products.topSellers, {})
    }
    const users = await manyUsers(shop, 4)
    const sale = await race(4, (caller) =>
      patiently(() => issue(shop, couponId, users[caller]!, "the-coupon"))
    )
    expectExactly(sale, 2)
    expectExactly(sale, 2, "CouponSoldOut")
    expect(await issuedOf(shop, couponId)).toBe(3)
  }

  /** A campaign of three coupons, one of which is issued, so that it has a gate. */
  const campaign = async () => {
    const { id } = await newCoupon(shop, { quantity: 3 })
    const [user] = await manyUsers(shop, 1)
    await issue(shop, id, user!)
    return id
  }

  /** All keys but the stream of events, whose lies have tests of their own. */
  const keys = async () => (await redis.client.keys("*")).filter((key) => !key.endsWith(":events"))
  /** In one step: the shop writes some of its keys all the time. */
  const replacing = (key: string) => redis.client.multi().del(key)

  // Guarantees: whatever stands under every key, all answers are right, exactly N win, and the lie does not stay.
  test.each<[lie: string, tell: (key: string) => Promise<unknown>]>([
    ["a hash", (key) => replacing(key).hset(key, "some", "thing").exec()],
    ["a list", (key) => replacing(key).rpush(key, "one", "two").exec()],
    ["a set", (key) => replacing(key).sadd(key, "one", "two").exec()],
    ["a sorted set", (key) => replacing(key).zadd(key, "inf", "one", "-inf", "two").exec()],
    ["nothing", (key) => redis.client.set(key, "")],
    ["half of JSON", (key) => redis.client.set(key, '{"version":')],
    ["a large number", (key) => redis.client.set(key, "9007199254740993")],
    ["fifty kilobytes", (key) => redis.client.set(key, "x".repeat(50_000))],
    ["what never expires", (key) => redis.client.persist(key)],
    ["a vanished value", (key) => redis.client.del(key)]
  ])(
    "under every key there is %s",
    async (_lie, tell) => {
      const couponId = await campaign()
      await shop.ok(contract.products.topSellers, {})
      await Promise.all((await keys()).map(tell))
      await trade(couponId)
      const isUp = Locks.use(({ isStoreUp }) => Effect.sync(isStoreUp))
      expect(await shop.servers[0].runtime.runPromise(isUp)).toBe(true)
      await eventually(() => shop.expectRightBooks(), { timeoutMs: 15_000 })
    },
    60_000
  )

  test("a lock that somebody else holds for ever is free after a lease", async () => {
    const buyer = await shop.newUser(1_000)
    const { id: orderId } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, buyer)
    await redis.client.set(`mutex:payment:process:${orderId}`, "somebody")
    const askedAtMs = performance.now()
    await shop.ok(
      contract.payments.process,
      { orderId },
      { token: buyer.token, idempotencyKey: "the-payment" }
    )
    expect(performance.now() - askedAtMs).toBeLessThan(8_000)
    expect(await shop.ok(contract.points.balance, {}, buyer)).toEqual({ balance: 1_000 - priceMinor })
  }, 30_000)

  test("messages that nobody of the shop has sent change nothing", async () => {
    const couponId = await campaign()
    const [channel] = [...named].filter((name) => name.endsWith("}:changes"))
    for (const message of [
      "",
      "{",
      "null",
      "[]",
      '{"kind":1,"keys":{}}',
      '{"kind":"stock","keys":[1,null,{},"x"]}'
    ])
      await redis.client.publish(channel!, message)
    for (const grants of [...named].filter((name) => name.startsWith("holdfast:locks:")))
      for (const message of ["", " ", "1", "1 x y z", "1 9e15 0 9e15 mutex:a"])
        await redis.client.publish(grants, message)
    await trade(couponId)
  }, 30_000)

  test("every key and channel is in the table, and the table has no other", async () => {
    await trade(await campaign())
    const unknown = [...named].filter((key) => !documented.some((pattern) => isOf(pattern, key)))
    expect(unknown).toEqual([])
    const used = documented.filter((pattern) => [...named, "semaphore:x"].some((key) => isOf(pattern, key)))
    expect(used).toEqual(documented)
  })
})

/** Notes what each command of a shop names, until the returned function is called. */
const listenForKeys = async ({ client }: PrivateRedis, named: Set<string>): Promise<() => void> => {
  const monitor = await client.monitor()
  const asked = new Set<string>()
  monitor.on("monitor", (_time: string, args: ReadonlyArray<string>) => {
    const [command = "", first = ""] = args
    if (/^(p?subscribe|publish)$/i.test(command)) return void named.add(first)
    const shape = args.slice(0, 6).join(" ")
    if (/^(command|keys|monitor|info|ping|client|hello|auth|select|type)$/i.test(command) || asked.has(shape))
      return
    asked.add(shape)
    void client.call("COMMAND", "GETKEYS", ...args).then(
      (keys) => (keys as ReadonlyArray<string>).forEach((key) => named.add(key)),
      () => {}
    )
  })
  return () => monitor.disconnect()
}
