import { contract } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { type RedisTopology, startTopology, type Topology } from "../test/redis-topology.ts"
import { issue, manyUsers, newCoupon, patiently } from "../test/sale.ts"
import { Shop } from "../test/shop.ts"
import { KeyNamespace } from "./platform/db/key-namespace.ts"
import { startServer } from "./server.ts"
import { testSettings } from "../test/settings.ts"

const redisOf = async (url: string): Promise<unknown> =>
  ((await (await fetch(`${url}/readyz`)).json()) as { readonly redis: unknown }).redis

describe.each<Topology>(["cluster", "sentinel"])("a shop on Redis with %s", (kind) => {
  let redis: RedisTopology
  let shop: Shop
  beforeAll(async () => {
    redis = await startTopology(kind)
    shop = await Shop.open({
      servers: 2,
      redisUrl: redis.url,
      settings: { workers: true, cache: { freshMs: 5_000, staleMs: 30_000 } }
    })
  }, 60_000)
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
    await redis.stop()
  })

  const isUp = () =>
    eventually(
      async () => {
        for (const { url } of shop.servers) expect(await redisOf(url)).toBe("up")
      },
      { timeoutMs: 30_000 }
    )

  // Guarantees: exactly N orders and N coupons, whichever server of Redis moves, is lost or comes back in the middle.
  test("sells exactly N while its master moves and another one is killed", async () => {
    await isUp()
    const [buyers, sku] = [await manyUsers(shop, 120), await shop.newProduct(`moved ${kind}`, 40)]
    const { id: couponId } = await newCoupon(shop, { quantity: 30 })
    const prefix = await shop.servers[0].runtime.runPromise(KeyNamespace.use((namespace) => namespace.prefix))
    let answered = 0
    let storm: Promise<unknown> = Promise.resolve()
    const midway = () => {
      answered += 1
      if (answered === 30) storm = storm.then(() => redis.moveMasterOf(prefix))
      if (answered === 60) storm = storm.then(() => redis.moveMasterOf(`coupon:{${couponId}}:gate`))
      if (answered === 90) storm = storm.then(async () => (await redis.masterOf(prefix)).kill())
    }
    const order = (caller: number) =>
      patiently(() =>
        shop.ok(
          contract.orders.create,
          { lines: [{ sku, quantity: 1 }] },
          { token: buyers[caller]!.token, idempotencyKey: "the-order" }
        )
      ).finally(midway)
    const take = (caller: number) =>
      patiently(() => issue(shop, couponId, buyers[caller]!, "the-coupon")).finally(midway)
    const [orders, coupons] = await Promise.all([
      race(120, order, { timeoutMs: 90_000 }),
      race(120, take, { timeoutMs: 90_000 })
    ])
    await storm
    expectExactly(orders, 40)
    expectExactly(orders, 80, "OutOfStock")
    expectExactly(coupons, 30)
    expectExactly(coupons, 90, "CouponSoldOut")
    await isUp()
  }, 120_000)

  // Guarantees: after a failover everything in Redis works again: locks, cache, events and rankings.
  test("uses Redis again afterwards", async () => {
    await isUp()
    const [user, sku] = [await shop.newUser(10_000), await shop.newProduct(`after ${kind}`, 5)]
    const order = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 2 }] }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    await eventually(
      async () => {
        const top = await shop.ok(contract.products.topSellers, {})
        expect(JSON.stringify(top)).toContain(sku)
      },
      { timeoutMs: 20_000 }
    )
    expect(await shop.stockOf(sku)).toBe(3)
  }, 60_000)

  // Guarantees: the address of one node is refused instead of failing for two keys of three.
  test.runIf(kind === "cluster")("does not start at the address of a single node", async () => {
    const running = redis.nodes.find(({ client }) => client.status === "ready")!
    const url = new URL(inject("mysqlUrl"))
    url.pathname = `/${shop.database}`
    await expect(
      startServer(testSettings(url.href, `redis://127.0.0.1:${running.port}`), { logLevel: "None" })
    ).rejects.toMatchObject({ _tag: "RedisIsCluster" })
  })
})
