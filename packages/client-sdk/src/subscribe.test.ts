import { type CouponTicket, ServiceUnavailable, TicketNotFound, Unauthenticated } from "@holdfast/domain"
import { tap } from "@trpc/server/observable"
import { Effect, Stream } from "effect"
import { expect, test } from "vitest"
import { createClient, type HoldfastLink } from "./index.ts"
import { failureOf } from "./testing/failure-of.ts"
import { encodedSession, orderId as ticketId } from "./testing/fixtures.ts"
import { startWireServer, type WireServer } from "./testing/wire-server.ts"

const quick = { baseDelayMs: 1, maxDelayMs: 5 }
const clientOf = ({ url }: WireServer) => createClient({ url, token: "t1", retry: quick })

/** An encoded ticket, identified by the second in which it was requested. */
const ticket = (second: number): typeof CouponTicket.Encoded => ({
  id: ticketId,
  couponId: ticketId,
  requestedAt: `2026-01-02T03:04:0${second}.000Z`,
  result: { status: "waiting" }
})

const secondsOf = async (tickets: AsyncIterable<CouponTicket>): Promise<Array<number>> => {
  const seen: Array<number> = []
  for await (const { requestedAt } of tickets) seen.push(requestedAt.getUTCSeconds())
  return seen
}

const answering = (...seconds: ReadonlyArray<number>) =>
  async function* () {
    for (const second of seconds) yield ticket(second)
  }

test("a subscription yields every decoded answer and ends when the server ends it", async () => {
  await using server = await startWireServer({ "coupons.watchTicket": answering(1, 2, 3) })
  expect(await secondsOf(clientOf(server).coupons.watchTicket({ ticketId }))).toEqual([1, 2, 3])
  expect(server.calls).toMatchObject([{ procedure: "coupons.watchTicket", token: "t1", input: { ticketId } }])
})

test("in the safe style a subscription yields results, and a failure as the last one", async () => {
  await using server = await startWireServer({
    "coupons.watchTicket": async function* () {
      yield ticket(1)
      throw new TicketNotFound({ ticketId })
    }
  })
  const results: Array<unknown> = []
  for await (const result of clientOf(server).safe.coupons.watchTicket({ ticketId })) results.push(result)
  expect(results).toMatchObject([
    { ok: true, value: { id: ticketId } },
    { ok: false, error: { _tag: "TicketNotFound", attempts: 1 } }
  ])
  const aborted = clientOf(server).safe.coupons.watchTicket(
    { ticketId },
    { signal: AbortSignal.abort(new Error("too late")) }
  )
  expect(await failureOf(aborted[Symbol.asyncIterator]().next())).toMatchObject({ message: "too late" })
})

test("in the Effect style a subscription is a stream with the exact errors", async () => {
  await using server = await startWireServer({ "coupons.watchTicket": answering(1, 2) })
  const client = clientOf(server)
  const count = Stream.runCount(client.effect.coupons.watchTicket({ ticketId }))
  expect(await Effect.runPromise(count)).toBe(2)
  server.answer("coupons.watchTicket", () => {
    throw new TicketNotFound({ ticketId })
  })
  const handled = Stream.runCount(client.effect.coupons.watchTicket({ ticketId })).pipe(
    Effect.catchTag("TicketNotFound", (error) => Effect.succeed(error.ticketId))
  )
  expect(await Effect.runPromise(handled)).toBe(ticketId)
})

test("a broken connection is reopened after the last event", async () => {
  await using server = await startWireServer()
  const lastEventIds: Array<string | undefined> = []
  server.intercept((request, response) => {
    if (!request.url?.includes("watchTicket")) return
    lastEventIds.push(request.headers["last-event-id"] as string | undefined)
    response.writeHead(200, { "content-type": "text/event-stream" })
    const first = lastEventIds.length === 1
    const event = `id: ${first ? "e1" : "e2"}\ndata: ${JSON.stringify(ticket(first ? 1 : 2))}\n\n`
    if (first) response.write(event, () => request.socket.destroy())
    else response.end(`${event}event: return\ndata: \n\n`)
    return true
  })
  expect(await secondsOf(clientOf(server).coupons.watchTicket({ ticketId }))).toEqual([1, 2])
  expect(lastEventIds).toEqual([undefined, "e1"])
})

test("consecutive connections that deliver nothing end a subscription with the details of the last one", async () => {
  await using server = await startWireServer()
  server.intercept((request) => {
    request.socket.destroy()
    return true
  })
  const error = await failureOf(secondsOf(clientOf(server).coupons.watchTicket({ ticketId })))
  expect(error).toMatchObject({ _tag: "TransportError", reason: "connection-lost", attempts: 5 })
  expect(error).toHaveProperty("requestId", expect.any(String))
  expect(server.requests).toHaveLength(5)
})

/** Serves one connection after another as raw events. A connection whose text does not end in "return" is cut. */
const serving = async (connections: ReadonlyArray<string>) => {
  const server = await startWireServer()
  let served = 0
  server.intercept((request, response) => {
    const events = connections[served++]
    response.writeHead(200, { "content-type": "text/event-stream" })
    if (events?.endsWith(END)) response.end(events)
    else if (events !== undefined)
      response.write(events, () => events.endsWith(HELD) || request.socket.destroy())
    return true
  })
  return { server, served: () => served }
}
const END = "event: return\ndata: \n\n"
const HELD = ": held\n\n"
const event = (second: number) => `id: e${second}\ndata: ${JSON.stringify(ticket(second))}\n\n`

test("a subscription continues as long as its connections work, however many end without an answer", async () => {
  const quiet = `event: connected\ndata: {}\n\nevent: ping\ndata: \n\n`
  const { server } = await serving([event(1), ...Array.from({ length: 20 }, () => quiet), event(2) + END])
  await using _ = server
  expect(await secondsOf(clientOf(server).coupons.watchTicket({ ticketId }))).toEqual([1, 2])
})

test("consecutive connections that are cut right after they open end a subscription", async () => {
  const { server, served } = await serving(Array.from({ length: 20 }, () => `event: connected\ndata: {}\n\n`))
  await using _ = server
  const error = await failureOf(secondsOf(clientOf(server).coupons.watchTicket({ ticketId })))
  expect(error).toMatchObject({ _tag: "TransportError", reason: "connection-lost" })
  expect(served()).toBe(5)
})

test("a connection that is silent for longer than the server announces is reopened", async () => {
  const connected = `event: connected\ndata: {"reconnectAfterInactivityMs":50}\n\n`
  const { server, served } = await serving([connected + event(1) + HELD, connected + event(2) + END])
  await using _ = server
  expect(await secondsOf(clientOf(server).coupons.watchTicket({ ticketId }))).toEqual([1, 2])
  expect(served()).toBe(2)
})

test("a slow reader does not count as silence of the server", async () => {
  await using server = await startWireServer()
  let served = 0
  server.intercept((_request, response) => {
    served += 1
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(`event: connected\ndata: {"reconnectAfterInactivityMs":1000}\n\n${event(1)}`)
    const pings = setInterval(() => response.write("event: ping\ndata: \n\n"), 50)
    setTimeout(() => {
      clearInterval(pings)
      response.end(event(2) + END)
    }, 1500)
    return true
  })
  const seen: Array<number> = []
  for await (const { requestedAt } of clientOf(server).coupons.watchTicket({ ticketId })) {
    seen.push(requestedAt.getUTCSeconds())
    await new Promise((resolve) => setTimeout(resolve, 1300))
  }
  expect(seen).toEqual([1, 2])
  expect(served).toBe(1)
})

test("a reader that is far behind skips the oldest states and gets the latest", async () => {
  await using server = await startWireServer({
    "products.watchStock": async function* () {
      for (let stock = 1000; stock >= 0; stock -= 1) yield { sku: "TEA", stock }
    }
  })
  const everything = Promise.withResolvers<void>()
  const noteEnd: HoldfastLink =
    () =>
    ({ next, op }) =>
      next(op).pipe(tap({ complete: everything.resolve }))
  const client = createClient({ url: server.url, token: "t1", links: [noteEnd] })
  const seen: Array<number> = []
  for await (const { stock } of client.products.watchStock({ sku: "TEA" })) {
    await everything.promise
    seen.push(stock)
  }
  // The one that the reader held, and those that waited for it.
  expect(seen.length).toBeGreaterThanOrEqual(100)
  expect(seen.length).toBeLessThanOrEqual(101)
  expect(seen.at(-1)).toBe(0)
  expect(seen).toEqual(seen.toSorted((a, b) => b - a))
})

test("the hooks are called for every connection", async () => {
  const { server } = await serving([event(1), event(2) + END])
  await using _ = server
  const told: Array<unknown> = []
  const client = createClient({
    url: server.url,
    token: "t1",
    retry: quick,
    onRequest: ({ attempt, kind }) => told.push(["request", kind, attempt]),
    onResponse: ({ attempt, error }) => told.push(["response", attempt, error?._tag])
  })
  await secondsOf(client.coupons.watchTicket({ ticketId }))
  expect(told).toEqual([
    ["request", "subscription", 1],
    ["response", 1, "TransportError"],
    ["request", "subscription", 2],
    ["response", 2, undefined]
  ])
})

test("a retryable error reopens a subscription, and a definitive one ends it", async () => {
  let times = 0
  await using server = await startWireServer({
    "coupons.watchTicket": async function* () {
      times += 1
      yield ticket(times)
      if (times === 1) throw new ServiceUnavailable({ retryAfterMs: 1 })
      throw new TicketNotFound({ ticketId })
    }
  })
  const seen: Array<number> = []
  const watch = async () => {
    for await (const { requestedAt } of clientOf(server).coupons.watchTicket({ ticketId }))
      seen.push(requestedAt.getUTCSeconds())
  }
  expect(await failureOf(watch())).toBeInstanceOf(TicketNotFound)
  expect(seen).toEqual([1, 2])
})

test("a rejected token is refreshed once", async () => {
  await using server = await startWireServer({
    "auth.login": () => encodedSession("old", "r1"),
    "auth.refresh": () => encodedSession("new", "r2"),
    "coupons.watchTicket": async function* ({ token }) {
      if (token === "old") throw new Unauthenticated({ reason: "expired" })
      yield ticket(4)
    }
  })
  const client = createClient({
    url: server.url,
    auth: { email: "ann@example.com", password: "correct horse" }
  })
  expect(await secondsOf(client.coupons.watchTicket({ ticketId }))).toEqual([4])
})

/** A subscription with one answer and then silence, and a promise that resolves when the server cancels it. */
const startSilent = async () => {
  const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>()
  const server = await startWireServer({
    "coupons.watchTicket": async function* ({ signal }) {
      signal?.addEventListener("abort", () => cancel())
      yield ticket(1)
      await new Promise<never>(() => {})
    }
  })
  return { server, cancelled }
}

test("leaving the loop cancels the server's work", async () => {
  const { cancelled, server } = await startSilent()
  await using _ = server
  for await (const { id } of clientOf(server).coupons.watchTicket({ ticketId })) if (id === ticketId) break
  await cancelled
})

test("aborting the signal rejects with its reason and cancels the server's work", async () => {
  const { cancelled, server } = await startSilent()
  await using _ = server
  const controller = new AbortController()
  const watch = async () => {
    for await (const { id } of clientOf(server).coupons.watchTicket(
      { ticketId },
      { signal: controller.signal }
    ))
      controller.abort(new Error(`seen ${id}`))
  }
  expect(await failureOf(watch())).toMatchObject({ message: `seen ${ticketId}` })
  await cancelled
})

test("a connection that delivers nothing in time is closed", async () => {
  await using server = await startWireServer()
  const closed: Array<Promise<void>> = []
  server.intercept((request) => {
    closed.push(new Promise((resolve) => request.socket.once("close", () => resolve())))
    return true
  })
  const retry = { ...quick, attemptTimeoutMs: 300, maxAttempts: 2 }
  const client = createClient({ url: server.url, token: "t1", retry })
  const error = await failureOf(secondsOf(client.coupons.watchTicket({ ticketId })))
  expect(error).toMatchObject({ _tag: "TransportError", reason: "timeout", attempts: 2 })
  expect(closed).toHaveLength(2)
  await Promise.all(closed)
})

test("interrupting the stream cancels the server's work", async () => {
  const { cancelled, server } = await startSilent()
  await using _ = server
  const stream = clientOf(server).effect.coupons.watchTicket({ ticketId })
  await Effect.runPromise(Stream.runHead(stream))
  await cancelled
})
