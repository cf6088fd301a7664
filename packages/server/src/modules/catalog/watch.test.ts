import { contract } from "@holdfast/domain"
import { eventually, race } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import { makeRawClient } from "../../../test/raw-client.ts"
import { startPrivateRedis } from "../../../test/private-redis.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { type StreamEvent, subscribe } from "../../../test/subscribe.ts"

const stockOf = ({ data }: StreamEvent) => (data as { readonly stock: number }).stock

describe("watching a stock", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  const watch = (sku: string, server = 1, lastEventId?: string) =>
    subscribe(
      shop.servers[server]!.url,
      contract.products.watchStock,
      { sku },
      undefined,
      undefined,
      lastEventId
    )

  /** Reads until a stock is told, and gives all that were told until then. */
  const until = async (watching: ReturnType<typeof watch>, last: number) => {
    const seen: Array<number> = []
    while (seen.at(-1) !== last) {
      const event = await watching.next()
      if (event === undefined) throw new Error(`the stream ended after ${seen.join()}`)
      seen.push(stockOf(event))
    }
    return seen
  }

  test("50 buyers of 20 units: every watcher's numbers fall, end with 0, and rise by a cancellation alone", async () => {
    const sku = await shop.newProduct("RUSH", 20)
    const users = await shop.newUsers(50)
    const watchers = [watch(sku, 0), watch(sku, 1), watch(sku, 1)]
    for (const watcher of watchers) expect(stockOf((await watcher.next())!)).toBe(20)
    const bought = await race(50, (caller) =>
      shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, users[caller])
    )
    expect(bought.winners).toHaveLength(20)
    for (const watcher of watchers) {
      const seen = await until(watcher, 0)
      expect(seen).toEqual(seen.toSorted((a, b) => b - a))
    }
    const [first] = bought.winners
    await shop.ok(contract.orders.cancel, { orderId: first!.value.id }, users[first!.caller])
    for (const watcher of watchers) expect(await until(watcher, 1)).toEqual([1])
    for (const watcher of watchers) watcher.close()
  })

  test("a watcher who comes and goes in the middle of a sale sees nothing twice and nothing older", async () => {
    const sku = await shop.newProduct("HOPPED", 200)
    const users = await shop.newUsers(10)
    const hop = async () => {
      const seen: Array<{ readonly id: number; readonly stock: number }> = []
      while (seen.at(-1)?.stock !== 0) {
        const hops = seen.length
        const watching = watch(sku, hops % 2, seen.at(-1)?.id.toString())
        const event = await watching.next()
        watching.close()
        if (event !== undefined) seen.push({ id: Number(event.id), stock: stockOf(event) })
      }
      return seen
    }
    const hopping = hop()
    const buyer = async (user: TestUser) => {
      for (let left = 20; left > 0; left -= 1)
        await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
    }
    await Promise.all(users.map(buyer))
    const seen = await hopping
    expect(seen.length).toBeGreaterThan(5)
    for (const [index, { id, stock }] of seen.entries()) {
      if (index === 0) continue
      expect(id).toBeGreaterThan(seen[index - 1]!.id)
      expect(stock).toBeLessThan(seen[index - 1]!.stock)
    }
  })

  // Looking once a second would take half a minute for this.
  test(
    "tells of 30 changes one after another at once, each made in the other process",
    { timeout: 15_000 },
    async () => {
      const sku = await shop.newProduct("PROMPT", 0)
      const watching = watch(sku, 1)
      expect(stockOf((await watching.next())!)).toBe(0)
      for (let stock = 1; stock <= 30; stock += 1) {
        const delivery = { sku, delta: 1, reason: "delivery" }
        const answer = await makeRawClient(shop.servers[0].url)(
          contract.admin.adjustStock,
          delivery,
          shop.admin
        )
        expect(answer.ok).toBe(true)
        expect(await until(watching, stock)).toEqual([stock])
      }
      watching.close()
    }
  )

  test("tells of a change that never was announced: its process died, or somebody wrote by hand", async () => {
    const sku = await shop.newProduct("BY-HAND", 5)
    const watching = watch(sku)
    expect(stockOf((await watching.next())!)).toBe(5)
    await shop.sql.query("UPDATE products SET stock = stock - 2 WHERE sku = ?", [sku])
    await shop.sql.query(
      "INSERT INTO stock_ledger (sku, delta, kind, reason) VALUES (?, -2, 'adjustment', 'test')",
      [sku]
    )
    expect(await until(watching, 3)).toEqual([3])
    watching.close()
  })

  test("a product that does not exist", async () => {
    expect(await watch("NOTHING").all()).toMatchObject([
      { event: "serialized-error", data: { data: { domain: { _tag: "ProductNotFound", sku: "NOTHING" } } } }
    ])
  })
})

describe("watching a stock on one small server", () => {
  test("no more subscriptions than the process may have; who leaves makes room", async () => {
    await using shop = await Shop.open({ settings: { maximumSubscriptions: 2 } })
    const sku = await shop.newProduct("CROWDED", 5)
    const watch = () => subscribe(shop.servers[0].url, contract.products.watchStock, { sku })
    const [first, second] = [watch(), watch()]
    expect([stockOf((await first.next())!), stockOf((await second.next())!)]).toEqual([5, 5])
    expect(await watch().all()).toMatchObject([
      { data: { data: { domain: { _tag: "ServiceUnavailable", retryAfterMs: 1_000 } } } }
    ])
    first.close()
    await eventually(async () => {
      const third = watch()
      const event = await third.next()
      third.close()
      expect(event?.data).toMatchObject({ stock: 5 })
    })
    second.close()
  })

  test("without Redis the database is looked at; with Redis back, changes are told of again", async () => {
    await using redis = await startPrivateRedis()
    await using shop = await Shop.open({ servers: 2, redisUrl: redis.url })
    const sku = await shop.newProduct("AWAY", 50)
    const user = await shop.newUser()
    const buy = () => shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
    const watching = subscribe(shop.servers[1]!.url, contract.products.watchStock, { sku })
    expect(stockOf((await watching.next())!)).toBe(50)
    const others = Array.from({ length: 20 }, () =>
      subscribe(shop.servers[1]!.url, contract.products.watchStock, { sku })
    )
    for (const other of others) expect(stockOf((await other.next())!)).toBe(50)
    // However many watch, and whatever they watch: one connection listens, in the one process that has any.
    const [channel] = (await redis.client.pubsub("CHANNELS", "*changes")) as [string]
    expect(await redis.client.pubsub("NUMSUB", channel)).toEqual([channel, 1])
    for (const other of others) other.close()
    await buy()
    expect(stockOf((await watching.next())!)).toBe(49)
    await redis.service.kill()
    await buy()
    expect(stockOf((await watching.next())!)).toBe(48)
    await redis.service.restart()
    await buy()
    expect(stockOf((await watching.next())!)).toBe(47)
    watching.close()
  })
})
