import { getEventListeners } from "node:events"
import { Effect, Fiber } from "effect"
import { describe, expect, test } from "vitest"
import { createClient } from "../index.ts"
import { failureOf } from "../testing/failure-of.ts"
import { encodedOrder, encodedProduct, orderInput } from "../testing/fixtures.ts"
import { startWireServer } from "../testing/wire-server.ts"

const skus = Array.from({ length: 12 }, (_, index) => `SKU-${index}`)

test("queries that start together share one request; each mutation has its own", async () => {
  await using server = await startWireServer({
    "products.bySku": ({ input }) => encodedProduct((input as { sku: string }).sku),
    "orders.create": () => encodedOrder()
  })
  const client = createClient({ url: server.url, token: "t1" })
  const products = await Promise.all(skus.map((sku) => client.products.bySku({ sku })))
  expect(products.map(({ sku }) => sku)).toEqual(skus)
  expect(server.requests).toHaveLength(1)
  await Promise.all(skus.map(() => client.orders.create(orderInput)))
  expect(server.requests).toHaveLength(1 + skus.length)
  const keys = server.calls.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])
  expect(new Set(keys).size).toBe(skus.length)
})

test("a failing query of a batch does not affect the others", async () => {
  await using server = await startWireServer({
    "products.bySku": ({ input }) => {
      const { sku } = input as { sku: string }
      if (sku === "SKU-3") throw new Error("boom")
      return encodedProduct(sku)
    }
  })
  const client = createClient({ url: server.url })
  const results = await Promise.all(skus.map((sku) => client.safe.products.bySku({ sku })))
  expect(results.map(({ ok }) => ok)).toEqual(skus.map((sku) => sku !== "SKU-3"))
})

describe("a thousand concurrent calls", () => {
  const thousand = Array.from({ length: 1000 })

  test("share a bounded number of connections", async () => {
    await using server = await startWireServer({ "orders.create": () => encodedOrder() })
    const client = createClient({ url: server.url, token: "t1", maxConnections: 8 })
    await Promise.all(thousand.map(() => client.orders.create(orderInput)))
    expect(server.calls).toHaveLength(1000)
    expect(server.mostConnections()).toBeLessThanOrEqual(8)
    expect(server.mostConnections()).toBeGreaterThan(1)
  })

  test("fail at once, unsent, if the queue is full", async () => {
    await using server = await startWireServer({ "orders.create": () => encodedOrder() })
    const client = createClient({
      url: server.url,
      token: "t1",
      maxConnections: 2,
      maxWaiting: 10,
      retry: false
    })
    const results = await Promise.all(thousand.map(() => client.safe.orders.create(orderInput)))
    const refused = results.flatMap((result) => (result.ok ? [] : [result.error]))
    expect(refused).toHaveLength(988)
    expect(refused[0]).toMatchObject({ _tag: "TransportError", reason: "overloaded", maybeSent: false })
    expect(server.calls).toHaveLength(12)
  })

  test("leave no listener on a shared signal", async () => {
    await using server = await startWireServer({ "orders.create": () => encodedOrder() })
    const client = createClient({ url: server.url, token: "t1" })
    const { signal } = new AbortController()
    await Promise.all(thousand.map(() => client.orders.create(orderInput, { signal })))
    expect(getEventListeners(signal, "abort")).toHaveLength(0)
  })
})

describe("cancelling", () => {
  /** A server that never answers an order, and a promise that resolves when it cancels the first one. */
  const startEndless = async () => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>()
    const server = await startWireServer({
      "orders.create": ({ signal }) =>
        new Promise<never>(() => {
          signal?.addEventListener("abort", () => cancel())
          arrive()
        })
    })
    return { server, arrived, cancelled }
  }

  test("by a signal cancels the server's work and rejects with the signal's reason", async () => {
    const { arrived, cancelled, server } = await startEndless()
    await using _ = server
    const controller = new AbortController()
    const client = createClient({ url: server.url, token: "t1" })
    const call = failureOf(client.safe.orders.create(orderInput, { signal: controller.signal }))
    await arrived
    const reason = new Error("changed my mind")
    controller.abort(reason)
    expect(await call).toBe(reason)
    await cancelled
  })

  test("before the call sends nothing", async () => {
    await using server = await startWireServer()
    const client = createClient({ url: server.url, token: "t1" })
    const call = client.orders.create(orderInput, { signal: AbortSignal.abort(new Error("too late")) })
    expect(await failureOf(call)).toMatchObject({ message: "too late" })
    expect(server.requests).toEqual([])
  })

  test("by interrupting the effect cancels the server's work", async () => {
    const { arrived, cancelled, server } = await startEndless()
    await using _ = server
    const fiber = Effect.runFork(
      createClient({ url: server.url, token: "t1" }).effect.orders.create(orderInput)
    )
    await arrived
    await Effect.runPromise(Fiber.interrupt(fiber))
    await cancelled
  })

  test("while waiting for a connection lets the next call have it", async () => {
    const { arrived, server } = await startEndless()
    await using _ = server
    const client = createClient({
      url: server.url,
      token: "t1",
      maxConnections: 1,
      maxWaiting: 1,
      retry: false
    })
    const [first, second] = [new AbortController(), new AbortController()]
    const holding = failureOf(client.orders.create(orderInput, { signal: first.signal }))
    await arrived
    const waiting = failureOf(client.orders.create(orderInput, { signal: second.signal }))
    second.abort(new Error("second"))
    expect(await waiting).toMatchObject({ message: "second" })
    server.answer("orders.create", () => encodedOrder())
    const third = client.orders.create(orderInput)
    first.abort(new Error("first"))
    expect(await holding).toMatchObject({ message: "first" })
    expect(await third).toMatchObject({ status: "PENDING" })
  })
})
