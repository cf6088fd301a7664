import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Effect } from "effect"
import { Locks } from "@holdfast/locks"
import { expect, test } from "vitest"
import { type ServerBehindProxy, serverBehindProxy } from "../test/behind-proxy.ts"
import type { Shop, TestUser } from "../test/shop.ts"
import { useShop } from "../test/use-shop.ts"

/** What the service promises: whole again within this time after the network. */
const WHOLE_WITHIN_MS = 5_000

let shop: Shop
let user: TestUser
useShop({}, async (opened) => {
  shop = opened
  user = await shop.newUser()
  await shop.newProduct("tea", 100_000)
})

const cached = { cache: { freshMs: 5_000, staleMs: 30_000 } }
const usesRedis = ({ server }: ServerBehindProxy) =>
  server.runtime.runPromise(Effect.map(Locks, (locks) => locks.isStoreUp()))

const order = async ({ call }: ServerBehindProxy) => {
  const startedAtMs = performance.now()
  const answer = await call(
    contract.orders.create,
    { lines: [{ sku: "tea", quantity: 1 }] },
    { token: user.token, idempotencyKey: crypto.randomUUID() }
  )
  return { answer, tookMs: performance.now() - startedAtMs }
}

const expectRedisBack = async (behind: ServerBehindProxy) => {
  const startedAtMs = performance.now()
  await eventually(
    async () => {
      const ready = await fetch(`${behind.server.url}/readyz`)
      expect(await ready.json()).toMatchObject({ redis: "up" })
      expect(await usesRedis(behind)).toBe(true)
    },
    { timeoutMs: WHOLE_WITHIN_MS, everyMs: 50 }
  )
  console.log(`Redis is back after ${Math.round(performance.now() - startedAtMs)} ms`)
}

// Guarantees: silent connections are replaced although the peer acknowledges everything.
test("all connections to Redis go silent: orders succeed, and Redis is used again", async () => {
  await using behind = await serverBehindProxy(shop, "redis", cached)
  expect((await order(behind)).answer.ok).toBe(true)
  behind.proxy.halfOpen()
  const orders = await Promise.all(Array.from({ length: 20 }, () => order(behind)))
  for (const { answer, tookMs } of orders) {
    expect(answer.ok || answer.tag === "RequestInProgress").toBe(true)
    expect(tookMs).toBeLessThan(WHOLE_WITHIN_MS)
  }
  await expectRedisBack(behind)
})

test("a silent network to Redis: nobody waits while it is known, and Redis is used again after it", async () => {
  await using behind = await serverBehindProxy(shop, "redis", cached)
  behind.proxy.freeze()
  expect((await order(behind)).answer.ok).toBe(true)
  for (let call = 0; call < 10; call += 1) {
    const { answer, tookMs } = await order(behind)
    expect(answer.ok).toBe(true)
    expect(tookMs).toBeLessThan(900)
  }
  const ready = await fetch(`${behind.server.url}/readyz`)
  expect([ready.status, await ready.json()]).toMatchObject([200, { redis: "down" }])
  behind.proxy.thaw()
  await expectRedisBack(behind)
})
