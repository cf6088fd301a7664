import { contract } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Locks } from "@holdfast/locks"
import { type PrivateRedis, startPrivateRedis } from "../test/private-redis.ts"
import { Shop } from "../test/shop.ts"
import { manyUsers, patiently } from "../test/sale.ts"

/** A Redis of this file's own, which it may kill. */
let redis: PrivateRedis
beforeAll(async () => {
  redis = await startPrivateRedis()
  return () => redis.stop()
})

describe("a shop that loses Redis", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2, redisUrl: redis.url })
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

  const usesRedisForLocks = () =>
    shop.servers[0].runtime.runPromise(Effect.map(Locks, (locks) => locks.isStoreUp()))
  /** The state of Redis by each server's health check. */
  const redisOfAll = () =>
    Promise.all(
      shop.servers.map(async ({ url }) => {
        const response = await fetch(`${url}/readyz`)
        return ((await response.json()) as { readonly redis: string }).redis
      })
    )

  /** Races for everything that takes a lock: the outcome does not depend on where the locks are. */
  const exactly = async (phase: string) => {
    const signUps = await race(12, () =>
      shop.ok(contract.auth.register, { email: `${phase}@shop.test`, password: "a password" })
    )
    expectExactly(signUps, 1)
    expectExactly(signUps, 11, "EmailTaken")

    const buyers = await shop.newUsers(20, 1_000)
    const sku = await shop.newProduct(`limited ${phase}`, 8)
    const orders = await race(20, async (caller) => ({
      buyer: buyers[caller]!,
      order: await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, buyers[caller])
    }))
    expectExactly(orders, 8)
    expectExactly(orders, 12, "OutOfStock")
    expect(await shop.stockOf(sku)).toBe(0)

    const { buyer, order } = orders.winners[0]!.value
    const payments = await race(20, (caller) =>
      shop.ok(
        contract.payments.process,
        { orderId: order.id },
        { token: buyer.token, idempotencyKey: `pay-${phase}-${caller}` }
      )
    )
    expectExactly(payments, 20)
    expect(new Set(payments.fulfilled.map(({ value }) => value.id)).size).toBe(1)
  }

  test("a sale places exactly N orders while Redis is flushed, killed and restarted", async () => {
    const buyers = await manyUsers(shop, 120)
    const sku = await shop.newProduct("stormy", 40)
    let answered = 0
    let storm: Promise<unknown> = Promise.resolve()
    const midway = () => {
      answered += 1
      if (answered === 10 || answered === 25) storm = storm.then(() => redis.client.flushall())
      if (answered === 40) storm = storm.then(() => redis.service.kill())
      if (answered === 80) storm = storm.then(() => redis.service.restart())
    }
    const result = await race(
      120,
      (caller) => {
        const options = { token: buyers[caller]!.token, idempotencyKey: "the-order" }
        const lines = [{ sku, quantity: 1 }]
        return patiently(() => shop.ok(contract.orders.create, { lines }, options)).finally(midway)
      },
      { timeoutMs: 90_000 }
    )
    await storm
    expectExactly(result, 40)
    expectExactly(result, 80, "OutOfStock")
    expect(await shop.stockOf(sku)).toBe(0)
  }, 120_000)

  test("sign-ups, orders and payments are as exact without Redis, and the locks return to it by themselves", async () => {
    await exactly("before")
    await redis.service.kill()
    await exactly("during")
    expect(await redisOfAll()).toEqual(["down", "down"])
    expect(await usesRedisForLocks()).toBe(false)
    await redis.service.restart()
    await eventually(
      async () => {
        expect(await redisOfAll()).toEqual(["up", "up"])
        expect(await usesRedisForLocks()).toBe(true)
      },
      { timeoutMs: 15_000 }
    )
    await exactly("after")
  }, 120_000)
})
