import type { IncomingMessage, ServerResponse } from "node:http"
import { OutOfStock, RequestInProgress, ServiceUnavailable } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { createClient, RemoteDefect, TransportError } from "./index.ts"
import { defaultRetryPolicy, delayMs, mayRetry } from "./retry.ts"
import { failureOf } from "./testing/failure-of.ts"
import { encodedOrder, encodedProduct, encodedSession, orderInput } from "./testing/fixtures.ts"
import { startWireServer, type WireServer } from "./testing/wire-server.ts"

const quick = { baseDelayMs: 1, maxDelayMs: 5 }
const clientOf = ({ url }: WireServer) => createClient({ url, token: "t1", retry: quick })
const credentials = { email: "ann@example.com", password: "correct horse" }

type Accident = (request: IncomingMessage, response: ServerResponse) => boolean | void

/** Closes the connection before the request is handled. */
const cutBefore: Accident = (request) => {
  request.socket.destroy()
  return true
}

/** Closes the connection after the request was handled and half of the answer was written. */
const cutDuring: Accident = (_request, response) => {
  const write = response.write.bind(response) as (chunk: Uint8Array, done: () => void) => boolean
  response.write = ((chunk: Uint8Array) =>
    write(chunk.subarray(0, chunk.length / 2), () => response.socket?.destroy())) as typeof response.write
  response.end = () => response
}

/** Closes the connection after the request was handled, instead of answering. */
const cutAfter: Accident = (_request, response) => {
  response.write = () => {
    response.socket?.destroy()
    return false
  }
}

const once = (server: WireServer, accident: Accident) =>
  server.intercept((request, response) => {
    server.intercept(undefined)
    return accident(request, response)
  })

const accidents = { cutBefore, cutDuring, cutAfter }

describe.each(Object.entries(accidents))("a broken connection: %s", (_name, accident) => {
  test("a mutation is retried with its key", async () => {
    await using server = await startWireServer({ "orders.create": () => encodedOrder() })
    once(server, accident)
    expect(await clientOf(server).orders.create(orderInput)).toMatchObject({ status: "PENDING" })
    expect(server.requests).toHaveLength(2)
    expect(new Set(server.calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1)
  })

  test("a query is retried", async () => {
    await using server = await startWireServer({ "products.bySku": () => encodedProduct("TEA") })
    once(server, accident)
    expect(await clientOf(server).products.bySku({ sku: "TEA" })).toMatchObject({ sku: "TEA" })
    expect(server.requests).toHaveLength(2)
  })

  test("an action is not retried, because it may have run", async () => {
    await using server = await startWireServer({ "auth.login": () => encodedSession("a", "r") })
    once(server, accident)
    const error = await failureOf(clientOf(server).auth.login(credentials))
    expect(error).toMatchObject({
      _tag: "TransportError",
      reason: "connection-lost",
      maybeSent: true,
      attempts: 1
    })
    expect(server.requests).toHaveLength(1)
  })
})

test("an action is retried if the server has not seen it", async () => {
  const server = await startWireServer()
  await server[Symbol.asyncDispose]()
  const error = await failureOf(clientOf(server).auth.login(credentials))
  expect(error).toMatchObject({ reason: "unreachable", maybeSent: false, attempts: 5 })
})

test("a definitive answer is not retried", async () => {
  await using server = await startWireServer({
    "orders.create": () => {
      throw new OutOfStock({ sku: "TEA", requested: 2, available: 0 })
    }
  })
  await failureOf(clientOf(server).orders.create(orderInput))
  expect(server.calls).toHaveLength(1)
})

/** A handler that reports an earlier request of the same call as in progress for the first `times` requests. */
const busyFor = (times: number) => () => {
  if (times-- > 0) throw new RequestInProgress({ scope: "order.create", retryAfterMs: 1 })
  return encodedOrder()
}

test("`RequestInProgress` does not use up attempts", async () => {
  await using server = await startWireServer({ "orders.create": busyFor(20) })
  expect(await clientOf(server).orders.create(orderInput)).toMatchObject({ status: "PENDING" })
  expect(server.calls).toHaveLength(21)
})

test("waiting for an earlier request ends at the deadline of the call", async () => {
  await using server = await startWireServer({ "orders.create": busyFor(Infinity) })
  const error = await failureOf(clientOf(server).orders.create(orderInput, { timeoutMs: 1_000 }))
  expect(error).toMatchObject({ _tag: expect.stringMatching(/^(RequestInProgress|TransportError)$/) })
  expect(server.calls.length).toBeGreaterThan(5)
})

test("`RequestInProgress` is reported at once if retries are disabled", async () => {
  await using server = await startWireServer({ "orders.create": busyFor(1) })
  const client = createClient({ url: server.url, token: "t1", retry: false })
  expect(await failureOf(client.orders.create(orderInput))).toMatchObject({ _tag: "RequestInProgress" })
  expect(server.calls).toHaveLength(1)
})

test("nothing is retried if retries are disabled", async () => {
  await using server = await startWireServer()
  server.intercept(cutBefore)
  const client = createClient({ url: server.url, token: "t1", retry: false })
  expect(await failureOf(client.orders.create(orderInput))).toMatchObject({ attempts: 1 })
  expect(server.requests).toHaveLength(1)
})

test("a proxy's error page is retried if its status is temporary, and only then", async () => {
  await using server = await startWireServer({ "orders.create": () => encodedOrder() })
  const page =
    (status: number): Accident =>
    (_request, response) => {
      response.writeHead(status, { "content-type": "text/html", "retry-after": "0.05" }).end("<h1>sorry</h1>")
      return true
    }
  const before = performance.now()
  once(server, page(502))
  expect(await clientOf(server).orders.create(orderInput)).toMatchObject({ status: "PENDING" })
  expect(performance.now() - before).toBeGreaterThanOrEqual(49)
  once(server, page(404))
  expect(await failureOf(clientOf(server).orders.create(orderInput))).toMatchObject({
    _tag: "TransportError",
    reason: "unexpected-response",
    httpStatus: 404,
    retryable: false,
    attempts: 1
  })
})

describe("the deadline of a call", () => {
  test("ends a request without an answer and reports its id", async () => {
    await using server = await startWireServer({ "orders.create": () => new Promise<never>(() => {}) })
    const error = await failureOf(clientOf(server).orders.create(orderInput, { timeoutMs: 300 }))
    expect(error).toBeInstanceOf(TransportError)
    expect(error).toMatchObject({ reason: "timeout", maybeSent: true, retryable: true, attempts: 1 })
    expect(error).toHaveProperty("requestId", server.calls[0]?.requestId)
    expect(error).toHaveProperty("idempotencyKey", server.calls[0]?.idempotencyKey)
  })

  test("covers all retries, each of which has its own time limit", async () => {
    await using server = await startWireServer({ "orders.create": () => new Promise<never>(() => {}) })
    const client = createClient({
      url: server.url,
      token: "t1",
      retry: { ...quick, attemptTimeoutMs: 50, maxAttempts: 3 }
    })
    const error = await failureOf(client.orders.create(orderInput))
    expect(error).toMatchObject({ reason: "timeout", attempts: 3 })
  })

  test("applies to each call of a batch separately", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    await using server = await startWireServer({
      "products.bySku": async () => {
        await released
        return encodedProduct("TEA")
      }
    })
    const client = clientOf(server)
    const patient = client.products.bySku({ sku: "TEA" })
    const hurried = client.products.bySku({ sku: "TEA" }, { timeoutMs: 50 })
    expect(await failureOf(hurried)).toMatchObject({ _tag: "TransportError", reason: "timeout" })
    release()
    expect(await patient).toMatchObject({ sku: "TEA" })
    expect(server.requests).toHaveLength(1)
  })

  test("covers the wait for a login", async () => {
    await using server = await startWireServer({ "auth.login": () => new Promise<never>(() => {}) })
    const client = createClient({ url: server.url, auth: credentials, retry: { attemptTimeoutMs: 500 } })
    const error = await failureOf(client.orders.create(orderInput, { timeoutMs: 50 }))
    expect(error).toMatchObject({ _tag: "TransportError", reason: "timeout", maybeSent: false, attempts: 0 })
  })

  test("holds with a `fetch` that ignores its signal", async () => {
    const deaf = () => new Promise<never>(() => {})
    const client = createClient({
      url: "http://localhost:1",
      token: "t1",
      fetch: deaf,
      maxConnections: 1,
      retry: { ...quick, attemptTimeoutMs: 30, maxAttempts: 2 }
    })
    const error = await failureOf(client.orders.create(orderInput))
    expect(error).toMatchObject({ reason: "timeout", attempts: 2 })
  })

  test("is not waited for if the server asks for a retry after it", async () => {
    await using server = await startWireServer({
      "orders.create": () => {
        throw new ServiceUnavailable({ retryAfterMs: 60_000 })
      }
    })
    const error = await failureOf(clientOf(server).orders.create(orderInput, { timeoutMs: 20_000 }))
    expect(error).toMatchObject({ _tag: "ServiceUnavailable", retryAfterMs: 60_000, attempts: 1 })
  })
})

describe("the retry policy", () => {
  const transportError = (maybeSent: boolean) =>
    new TransportError({ procedure: "auth.login", reason: "connection-lost", maybeSent, retryable: true })

  test("follows the server's verdict and retries actions only if they certainly did not run", () => {
    expect(mayRetry("mutation", transportError(true))).toBe(true)
    expect(mayRetry("query", transportError(true))).toBe(true)
    expect(mayRetry("action", transportError(true))).toBe(false)
    expect(mayRetry("action", transportError(false))).toBe(true)
    expect(mayRetry("action", new ServiceUnavailable({ retryAfterMs: 5 }))).toBe(true)
    const bug = {
      procedure: "orders.create",
      code: "INTERNAL_SERVER_ERROR",
      httpStatus: 500,
      detail: "internal error"
    }
    expect(mayRetry("mutation", new RemoteDefect({ ...bug, retryable: false }))).toBe(false)
    expect(mayRetry("mutation", new RemoteDefect({ ...bug, retryable: true }))).toBe(true)
  })

  test("waits with full jitter and exponential backoff up to its limit, in addition to what the server asked for", () => {
    const policy = { ...defaultRetryPolicy, baseDelayMs: 100, maxDelayMs: 1000 }
    const draw = (attempts: number, error: Parameters<typeof delayMs>[2]) =>
      Array.from({ length: 400 }, () => delayMs(policy, attempts, error))
    const first = draw(1, transportError(true))
    expect(Math.max(...first)).toBeLessThanOrEqual(100)
    expect(Math.min(...first)).toBeLessThan(50)
    expect(Math.max(...first)).toBeGreaterThan(50)
    expect(Math.max(...draw(3, transportError(true)))).toBeGreaterThan(200)
    expect(Math.max(...draw(20, transportError(true)))).toBeLessThanOrEqual(1000)
    const asked = draw(1, new ServiceUnavailable({ retryAfterMs: 700 }))
    expect(Math.min(...asked)).toBeGreaterThanOrEqual(700)
    expect(new Set(asked).size).toBeGreaterThan(10)
  })
})
