import { OutOfStock, ServiceUnavailable, Unauthenticated } from "@holdfast/domain"
import { createTRPCClient, httpLink, loggerLink, TRPCClientError } from "@trpc/client"
import { tracked } from "@trpc/server"
import { Effect, Tracer } from "effect"
import { expect, expectTypeOf, test } from "vitest"
import {
  type AppRouter,
  authLink,
  createClient,
  errorsLink,
  holdfastHttpLink,
  hooksLink,
  idempotencyLink,
  retryLink,
  tracingLink
} from "../index.ts"
import { failureOf } from "../testing/failure-of.ts"
import { encodedOrder, encodedProduct, orderId, orderInput } from "../testing/fixtures.ts"
import { startWireServer } from "../testing/wire-server.ts"

/** A link that sends with a token of its own. */
const sending = (url: string) => holdfastHttpLink({ url, headers: { authorization: "Bearer t" } })

const quick = { baseDelayMs: 1, maxDelayMs: 5 }

test("all links together make a plain tRPC client exact", async () => {
  let failures = 1
  await using server = await startWireServer({
    "orders.create": ({ token }) => {
      if (token !== "new") throw new Unauthenticated({ reason: "expired" })
      if (failures-- > 0) throw new ServiceUnavailable({ retryAfterMs: 1 })
      return encodedOrder()
    },
    "coupons.watchTicket": async function* () {
      yield tracked("e1", {
        id: orderId,
        couponId: orderId,
        requestedAt: "2026-01-02T03:04:05.678Z",
        result: { status: "waiting" }
      })
    }
  })
  const attempts: Array<number> = []
  const client = createTRPCClient<AppRouter>({
    links: [
      idempotencyLink(),
      retryLink(quick),
      authLink({ known: () => "old", current: async () => "old", renew: async () => "new" }),
      hooksLink({ onRequest: ({ attempt }) => attempts.push(attempt) }),
      errorsLink(),
      holdfastHttpLink({ url: server.url })
    ]
  })
  const order = await client.orders.create.mutate(orderInput)
  expectTypeOf(order.createdAt).toEqualTypeOf<string>()
  expect(order.createdAt).toBe("2026-01-02T03:04:05.678Z")
  expect(server.calls.map(({ token }) => token)).toEqual(["old", "new", "new"])
  expect(new Set(server.calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1)
  expect(attempts).toEqual([1, 2, 3])
  const seen: Array<string> = []
  for await (const { data } of client.coupons.watchTicket.subscribe({ ticketId: orderId })) seen.push(data.id)
  expect(seen).toEqual([orderId])
})

test("an error of a plain tRPC client is typed by its procedure, and its cause is the declared class", async () => {
  await using server = await startWireServer({
    "orders.create": () => {
      throw new OutOfStock({ sku: "TEA", requested: 2, available: 1 })
    }
  })
  const client = createTRPCClient<AppRouter>({
    links: [idempotencyLink(), errorsLink(), sending(server.url)]
  })
  const error = await failureOf(
    client.orders.create.mutate(orderInput, { context: { idempotencyKey: "mine" } })
  )
  if (!(error instanceof TRPCClientError) || !(error.cause instanceof OutOfStock)) throw error
  expect(error.cause).toMatchObject({ available: 1, idempotencyKey: "mine" })
  expect(error.data).toMatchObject({ domain: { _tag: "OutOfStock", available: 1 } })
  expect(server.calls[0]?.idempotencyKey).toBe("mine")
})

test("each link works alone, above tRPC's own", async () => {
  let failures = 2
  await using server = await startWireServer({
    "products.bySku": () => {
      if (failures-- > 0) throw new ServiceUnavailable({ retryAfterMs: 1 })
      return encodedProduct("TEA")
    }
  })
  const http = httpLink({ url: `${server.url}/trpc` })
  const retrying = createTRPCClient<AppRouter>({ links: [retryLink(quick), http] })
  expect(await retrying.products.bySku.query({ sku: "TEA" })).toMatchObject({ sku: "TEA" })
  failures = 1
  const told: Array<unknown> = []
  const hooked = createTRPCClient<AppRouter>({
    links: [hooksLink({ onResponse: ({ error }) => told.push(error?._tag) }), http]
  })
  await failureOf(hooked.products.bySku.query({ sku: "TEA" }))
  await hooked.products.bySku.query({ sku: "TEA" })
  expect(told).toEqual(["ServiceUnavailable", undefined])
})

test("a context that is used for several mutations gives each its own key", async () => {
  await using server = await startWireServer({ "orders.create": () => encodedOrder() })
  const client = createTRPCClient<AppRouter>({
    links: [idempotencyLink(), sending(server.url)]
  })
  const context = { page: "basket" }
  await client.orders.create.mutate(orderInput, { context })
  await client.orders.create.mutate(orderInput, { context })
  expect(new Set(server.calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2)
  expect(context).toEqual({ page: "basket" })
})

test("`createClient` takes further links, which see a call once", async () => {
  let failures = 1
  await using server = await startWireServer({
    "products.bySku": () => {
      if (failures-- > 0) throw new ServiceUnavailable({ retryAfterMs: 1 })
      return encodedProduct("TEA")
    }
  })
  const logged: Array<unknown> = []
  const logger = loggerLink({ logger: ({ direction, path }) => logged.push([direction, path]) })
  const client = createClient({ url: server.url, retry: quick, links: [logger] })
  const product = await client.products.bySku({ sku: "TEA" })
  expect(product.createdAt).toBeInstanceOf(Date)
  expect(logged).toEqual([
    ["up", "products.bySku"],
    ["down", "products.bySku"]
  ])
})

test("what an application's own link throws reaches the caller unchanged", async () => {
  const client = createClient({
    url: "http://localhost:1",
    links: [
      () => () => {
        throw new Error("not today")
      }
    ]
  })
  expect(await failureOf(client.products.bySku({ sku: "TEA" }))).toMatchObject({ message: "not today" })
})

test("a traceparent is that of each call, also of queries that start together and of repeated requests", async () => {
  let failures = 1
  await using server = await startWireServer({
    "orders.create": () => {
      if (failures-- > 0) throw new ServiceUnavailable({ retryAfterMs: 1 })
      return encodedOrder()
    },
    "products.bySku": () => encodedProduct("TEA")
  })
  const sent: Array<string | undefined> = []
  server.intercept(({ headers }) => {
    sent.push(headers["traceparent"] as string | undefined)
    return false
  })
  const header = (span: number) => `00-${"a".repeat(32)}-${String(span).padStart(16, "0")}-01`
  let span = 0
  const given = createClient({
    url: server.url,
    token: "t",
    retry: quick,
    links: [tracingLink(() => (span === 0 ? undefined : header(span++)))]
  })
  await given.products.bySku({ sku: "TEA" })
  expect(sent.splice(0)).toEqual([undefined])
  span = 1
  await Promise.all([given.products.bySku({ sku: "TEA" }), given.products.bySku({ sku: "TEA" })])
  expect(new Set(sent.splice(0))).toEqual(new Set([header(1), header(2)]))
  await given.orders.create(orderInput)
  expect(sent.splice(0)).toEqual([header(3), header(3)])

  const client = createClient({ url: server.url, token: "t", links: [tracingLink()] })
  const outer = Tracer.externalSpan({ traceId: "b".repeat(32), spanId: "c".repeat(16), sampled: true })
  await Effect.runPromise(
    client.effect.products.bySku({ sku: "TEA" }).pipe(Effect.provideService(Tracer.ParentSpan, outer))
  )
  await client.products.bySku({ sku: "TEA" })
  expect(sent).toEqual([`00-${"b".repeat(32)}-${"c".repeat(16)}-01`, undefined])
})
