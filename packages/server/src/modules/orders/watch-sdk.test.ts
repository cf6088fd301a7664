import { createClient, OrderNotFound, type OrderStatus, ProductNotFound } from "@holdfast/client-sdk"
import { eventually } from "@holdfast/testkit"
import { Effect, Stream } from "effect"
import { expect, test } from "vitest"
import { startCuttingProxy } from "../../../test/cutting-proxy.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

const retry = { maxAttempts: 100, baseDelayMs: 1, maxDelayMs: 10 }
let shop: Shop
useShop({ servers: 2 }, (opened) => (shop = opened))

test("follows orders to their end over connections that are cut at every step", async () => {
  await using proxy = await startCuttingProxy(shop.servers[1]!.url, () => "never")
  const sku = await shop.newProduct("FOLLOWED", 100)
  const user = await shop.newUser(1_000_000)
  const direct = createClient({ url: shop.servers[0].url, token: user.token })
  const watcher = createClient({ url: proxy.url, token: user.token, retry })
  let cuts = 0
  const follow = async (orderId: string) => {
    const seen: Array<OrderStatus> = []
    for await (const { status } of watcher.orders.watch({ orderId })) {
      seen.push(status)
      // The next step is taken while nobody is connected.
      cuts += proxy.cutAll()
      if (status === "PENDING") await direct.payments.process({ orderId })
      if (status === "PAID") await direct.orders.cancel({ orderId })
    }
    return seen
  }
  const orders = await Promise.all(
    Array.from({ length: 20 }, () => direct.orders.create({ lines: [{ sku, quantity: 1 }] }))
  )
  const followed = await Promise.all(orders.map(({ id }) => follow(id)))
  expect(followed).toEqual(orders.map(() => ["PENDING", "PAID", "CANCELLED"]))
  expect(cuts).toBeGreaterThan(40)
})

test("shows a stock fall to 0 over connections that are cut, never rising", async () => {
  await using proxy = await startCuttingProxy(shop.servers[1]!.url, () => "never")
  const sku = await shop.newProduct("FALLING", 50)
  const user = await shop.newUser()
  const buyer = createClient({ url: shop.servers[0].url, token: user.token })
  const watcher = createClient({ url: proxy.url, retry })
  const seen: Array<number> = []
  const watching = (async () => {
    for await (const { stock } of watcher.products.watchStock({ sku })) {
      seen.push(stock)
      if (stock === 0) return
    }
  })()
  const buy = () => buyer.orders.create({ lines: [{ sku, quantity: 1 }] })
  for (let left = 50; left > 0; left -= 5) {
    await eventually(() => expect(seen.at(-1)).toBe(left))
    expect(proxy.cutAll()).toBe(1)
    await Promise.all(Array.from({ length: 5 }, buy))
  }
  await watching
  expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => b - a))
})

test("is a loop, a loop of results, and a stream; what is not there is a typed error in each", async () => {
  const sku = await shop.newProduct("STYLES", 3)
  const [ann, bob] = (await shop.newUsers(2)) as [TestUser, TestUser]
  const client = createClient({ url: shop.servers[0].url, token: ann.token })
  const order = await client.orders.create({ lines: [{ sku, quantity: 1 }] })
  await client.orders.cancel({ orderId: order.id })

  const states = []
  for await (const state of client.orders.watch({ orderId: order.id })) states.push({ ...order, ...state })
  expect(states).toEqual([await client.orders.get({ orderId: order.id })])

  const strangers = createClient({ url: shop.servers[0].url, token: bob.token })
  const results = []
  for await (const result of strangers.safe.orders.watch({ orderId: order.id })) results.push(result)
  expect(results).toMatchObject([{ ok: false, error: { _tag: "OrderNotFound", orderId: order.id } }])
  const refused = strangers.orders.watch({ orderId: order.id })[Symbol.asyncIterator]().next()
  await expect(refused).rejects.toBeInstanceOf(OrderNotFound)

  const first = client.effect.products.watchStock({ sku }).pipe(Stream.take(1), Stream.runCollect)
  expect(await Effect.runPromise(first)).toEqual([{ sku, stock: 3 }])
  const missing = client.effect.products
    .watchStock({ sku: "NOTHING" })
    .pipe(Stream.runDrain, Effect.catchTag("ProductNotFound", Effect.succeed))
  expect(await Effect.runPromise(missing)).toBeInstanceOf(ProductNotFound)
})
