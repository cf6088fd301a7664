import { InvalidInput, OrderNotFound, OutOfStock, ServiceUnavailable } from "@holdfast/domain"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { createClient, isHoldfastError, RemoteDefect, TransportError } from "./index.ts"
import { encodedOrder, encodedProduct, orderId, orderInput } from "./testing/fixtures.ts"
import { failureOf } from "./testing/failure-of.ts"
import { startWireServer, type WireServer } from "./testing/wire-server.ts"

const quick = { baseDelayMs: 1, maxDelayMs: 5 }
const clientOf = ({ url }: WireServer) => createClient({ url, token: "t1", retry: quick })

test("a call resolves with the decoded output: dates are `Date`s", async () => {
  await using server = await startWireServer({ "orders.create": () => encodedOrder() })
  const order = await clientOf(server).orders.create(orderInput)
  expect(order.createdAt).toEqual(new Date("2026-01-02T03:04:05.678Z"))
  expect(order.totalMinor).toBe(900)
  expect(server.calls[0]).toMatchObject({ procedure: "orders.create", input: orderInput, token: "t1" })
})

test("a call rejects with the declared class, its fields and the details of the call", async () => {
  await using server = await startWireServer({
    "orders.create": () => {
      throw new OutOfStock({ sku: "TEA", requested: 2, available: 1 })
    }
  })
  const error = await failureOf(clientOf(server).orders.create(orderInput, { idempotencyKey: "my-key" }))
  if (!isHoldfastError(error) || !(error instanceof OutOfStock)) throw error
  expect(error.available).toBe(1)
  expect(error.message).toBe("TEA: 2 asked for, 1 left")
  expect(error.retryable).toBe(false)
  expect(error.requestId).toBe(server.calls[0]?.requestId)
  expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/)
  expect(error.idempotencyKey).toBe("my-key")
  expect(error.attempts).toBe(1)
  expect(Object.keys(error)).not.toContain("requestId")
})

test("the safe style returns a result, the Effect style an effect with typed errors", async () => {
  await using server = await startWireServer({
    "orders.get": () => {
      throw new OrderNotFound({ orderId })
    },
    "products.bySku": () => encodedProduct("TEA")
  })
  const client = clientOf(server)
  const missing = await client.safe.orders.get({ orderId })
  expect(missing).toMatchObject({ ok: false, error: { _tag: "OrderNotFound", orderId } })
  const found = await client.safe.products.bySku({ sku: "TEA" })
  expect(found).toMatchObject({ ok: true, value: { sku: "TEA" } })

  const handled = client.effect.orders
    .get({ orderId })
    .pipe(Effect.catchTag("OrderNotFound", (error) => Effect.succeed(`no ${error.orderId}`)))
  expect(await Effect.runPromise(handled)).toBe(`no ${orderId}`)
})

test("an invalid input is rejected with the paths of its fields, without a request", async () => {
  await using server = await startWireServer()
  const wrong = {
    lines: [
      { sku: "TEA", quantity: 0 },
      { sku: "a,b", quantity: 1 }
    ]
  }
  const error = await failureOf(clientOf(server).orders.create(wrong))
  if (!(error instanceof InvalidInput)) throw error
  expect(error.issues.map(({ path }) => path)).toEqual(["lines[0].quantity", "lines[1].sku"])
  expect(server.requests).toEqual([])
})

test("a field that is undefined counts as absent, as in JSON", async () => {
  await using server = await startWireServer({ "products.page": () => ({ items: [] }) })
  const input = { cursor: undefined, limit: 2 } as unknown as { limit: number }
  await clientOf(server).products.page(input)
  expect(server.calls[0]?.input).toEqual({ limit: 2 })
})

test("an undeclared error and an unreadable answer are reported as remote defects", async () => {
  await using server = await startWireServer({
    "orders.get": () => {
      throw new Error("boom")
    },
    "products.bySku": () => ({ sku: "TEA" })
  })
  const client = clientOf(server)
  const bug = await failureOf(client.orders.get({ orderId }))
  expect(bug).toBeInstanceOf(RemoteDefect)
  expect(bug).toMatchObject({ code: "INTERNAL_SERVER_ERROR", httpStatus: 500, retryable: false, attempts: 1 })
  expect(bug).toHaveProperty("requestId", server.calls[0]?.requestId)
  const broken = await failureOf(client.products.bySku({ sku: "TEA" }))
  expect(broken).toMatchObject({ _tag: "RemoteDefect", code: "UNREADABLE_ANSWER" })
})

test("a retryable error is retried with the same key, after the delay that the server asks for", async () => {
  let times = 0
  await using server = await startWireServer({
    "orders.create": () => {
      times += 1
      if (times < 3) throw new ServiceUnavailable({ retryAfterMs: 40 })
      return encodedOrder()
    }
  })
  const before = performance.now()
  await clientOf(server).orders.create(orderInput)
  expect(performance.now() - before).toBeGreaterThanOrEqual(78)
  expect(new Set(server.calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1)
  expect(server.calls[0]?.idempotencyKey).toMatch(/^[0-9a-f-]{36}$/)
  expect(new Set(server.calls.map(({ requestId }) => requestId)).size).toBe(3)
})

test("an unreachable server is a transport error after all attempts", async () => {
  const server = await startWireServer()
  await server[Symbol.asyncDispose]()
  const error = await failureOf(clientOf(server).orders.create(orderInput))
  expect(error).toBeInstanceOf(TransportError)
  expect(error).toMatchObject({ reason: "unreachable", maybeSent: false, retryable: true, attempts: 5 })
})

test("a call takes its own headers, number of attempts and response hook", async () => {
  const languages: Array<string | undefined> = []
  await using server = await startWireServer({
    "products.bySku": ({ input }) => encodedProduct((input as { readonly sku: string }).sku),
    "orders.create": () => {
      throw new ServiceUnavailable({ retryAfterMs: 1 })
    }
  })
  server.intercept((request) => void languages.push(request.headers["accept-language"]))
  const client = createClient({
    url: server.url,
    token: "t1",
    headers: { "accept-language": "en" },
    retry: quick
  })
  const seen: Array<string | undefined> = []
  await Promise.all([
    client.products.bySku({ sku: "TEA" }),
    client.products.bySku(
      { sku: "POT" },
      { headers: { "accept-language": "de" }, onResponse: ({ requestId }) => seen.push(requestId) }
    )
  ])
  expect(new Set(languages)).toEqual(new Set(["de", "en"]))
  expect(seen).toEqual([server.calls.find(({ input }) => JSON.stringify(input).includes("POT"))?.requestId])
  const refused: Array<unknown> = []
  const error = await failureOf(
    client.orders.create(orderInput, {
      maxAttempts: 2,
      onResponse: ({ error, attempt }) => refused.push([attempt, error?._tag])
    })
  )
  expect(error).toMatchObject({ _tag: "ServiceUnavailable", attempts: 2 })
  expect(refused).toEqual([
    [1, "ServiceUnavailable"],
    [2, "ServiceUnavailable"]
  ])
})

test("a call rejects with what the application's `headers` function threw", async () => {
  await using server = await startWireServer()
  const client = createClient({
    url: server.url,
    token: "t1",
    headers: () => {
      throw new Error("no headers today")
    }
  })
  expect(await failureOf(client.orders.create(orderInput))).toMatchObject({ message: "no headers today" })
  expect(await failureOf(client.safe.products.bySku({ sku: "TEA" }))).toMatchObject({
    message: "no headers today"
  })
})

test("an error carries the request id that the server reports", async () => {
  await using server = await startWireServer()
  const data = { code: "INTERNAL_SERVER_ERROR", httpStatus: 500, requestId: "named-by-the-server" }
  const error = { message: "internal error", code: -32603, data }
  server.intercept((request, response) => {
    const isStream = request.url?.includes("watch")
    response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" })
    response.end(
      isStream ? `event: serialized-error\ndata: ${JSON.stringify(error)}\n\n` : JSON.stringify({ error })
    )
    return true
  })
  const client = clientOf(server)
  const failures = await Promise.all(
    [
      client.orders.create(orderInput),
      client.products.bySku({ sku: "TEA" }),
      client.products.watchStock({ sku: "TEA" })[Symbol.asyncIterator]().next()
    ].map(failureOf)
  )
  for (const failure of failures)
    expect(failure).toMatchObject({ _tag: "RemoteDefect", requestId: "named-by-the-server" })
})

test("a login's queries travel alone, and no request holds more than 20 calls", async () => {
  await using server = await startWireServer({ "products.bySku": () => encodedProduct("TEA") })
  server.answer("auth.me", () => ({
    id: orderId,
    email: "a@b.test",
    role: "user",
    createdAt: "2026-01-02T03:04:05.678Z"
  }))
  const client = clientOf(server)
  await Promise.all([
    client.auth.me(),
    ...Array.from({ length: 45 }, () => client.products.bySku({ sku: "TEA" })),
    client.auth.me()
  ])
  const calls = server.requests.map((request) => request.split("?", 1)[0]!.split(","))
  expect(calls.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([1, 1, 5, 20, 20])
  expect(calls.filter(([first]) => first === "GET /trpc/auth.me")).toHaveLength(2)
})

test("a request that an overloaded server sheds is sent again, whether it holds one call or many", async () => {
  await using server = await startWireServer({ "products.bySku": () => encodedProduct("TEA") })
  let shed = 0
  server.intercept((_request, response) => {
    if (shed === 2) return false
    shed += 1
    const domain = { _tag: "ServiceUnavailable", retryAfterMs: 1 }
    const data = { code: "SERVICE_UNAVAILABLE", httpStatus: 503, retryable: true, retryAfterMs: 1, domain }
    response.writeHead(503, { "content-type": "application/json", "retry-after": "1" })
    response.end(JSON.stringify({ error: { message: "busy", code: -32603, data } }))
    return true
  })
  const client = clientOf(server)
  const products = await Promise.all([1, 2, 3].map(() => client.products.bySku({ sku: "TEA" })))
  expect(products.map(({ sku }) => sku)).toEqual(["TEA", "TEA", "TEA"])
  // Jitter decides which calls of a batch that was shed travel together the next time.
  expect(shed).toBe(2)
})
