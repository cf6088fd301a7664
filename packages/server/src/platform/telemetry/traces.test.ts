import { createClient, tracingLink } from "@holdfast/client-sdk"
import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, expect, test } from "vitest"
import { drain } from "../../../test/jobs.ts"
import { Shop, testSettings } from "../../../test/shop.ts"
import { webhookJobs } from "../../modules/webhooks/jobs.ts"
import { outboxRelay } from "../outbox/relay.ts"
import { callersSpan } from "./traces.ts"

interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: ReadonlyArray<{
    readonly key: string
    readonly value: { readonly stringValue?: string }
  }>
}

interface Export {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
}

/** A receiver of OTLP over HTTP that keeps the spans. */
const startReceiver = async () => {
  const spans: Array<Span> = []
  const paths = new Set<string>()
  const keep = async (request: IncomingMessage) => {
    paths.add(request.url ?? "")
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export
    for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans)
  }
  const server = createServer((request, response) => {
    void keep(request).then(() => response.writeHead(200, { "content-type": "application/json" }).end("{}"))
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  return {
    spans,
    paths,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
const CALLER = "00f067aa0ba902b7"

test("one trace leads from the caller's span through the lock and the transaction to the statements", async () => {
  await using receiver = await startReceiver()
  await using shop = await Shop.open({ settings: { tracesUrl: receiver.url } })
  const user = await shop.newUser()
  const sku = await shop.newProduct("SECRET-TEA", 5, 0)
  const headers = { traceparent: `00-${TRACE}-${CALLER}-01` }
  await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, { token: user.token, headers })
  const inTrace = () => receiver.spans.filter(({ traceId }) => traceId === TRACE)
  await eventually(() => expect(inTrace().map(({ name }) => name)).toContain("orders.create"), {
    timeoutMs: 30_000
  })
  const named = (name: string) => inTrace().find((span) => span.name === name)!
  const ancestorsOf = (span: Span): ReadonlyArray<string> => {
    const parent = inTrace().find(({ spanId }) => spanId === span.parentSpanId)
    return parent === undefined ? [span.parentSpanId ?? ""] : [parent.name, ...ancestorsOf(parent)]
  }
  const statement = inTrace().find(
    ({ attributes, name }) =>
      name === "sql" && attributes.some(({ value }) => value.stringValue?.includes("insert into `orders`"))
  )!
  expect(ancestorsOf(statement)).toEqual(["transaction", "lock.hold", "orders.create", CALLER])
  expect(named("orders.create").parentSpanId).toBe(CALLER)
  expect([...receiver.paths]).toEqual(["/v1/traces"])
  expect(JSON.stringify(inTrace())).not.toContain("SECRET-TEA")
})

/** A receiver of webhooks that keeps the header `traceparent`, by the order. */
const startHook = async () => {
  const traceparents = new Map<string, string | undefined>()
  const keep = async (request: IncomingMessage) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { orderId } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly orderId: string }
    traceparents.set(orderId, request.headers["traceparent"] as string | undefined)
  }
  const server = createServer((request, response) => {
    void keep(request).then(() => response.end())
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const webhook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secret: Redacted.make("a secret of the tests"),
    formerSecrets: [],
    timeoutMs: 20_000,
    firstRetryMs: 20,
    maximumAttempts: 3
  }
  const [intake, sender] = webhookJobs(testSettings("mysql://unused", "redis://unused", { webhook }))
  return {
    traceparents,
    webhook,
    deliver: (shop: Shop) => drain(shop.servers[0], outboxRelay, intake!, sender!),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const traceOf = (traceparent: string | undefined) => traceparent?.split("-")[1]

const CALLS = 20

/** Orders of `CALLS` users, each paid for in a trace of its own, all at once. Returns the trace of each order. */
const payAtOnce = async (shop: Shop): Promise<ReadonlyMap<string, string>> => {
  const sku = await shop.newProduct("TEA", 1_000, 0)
  const payments = await Promise.all(
    Array.from({ length: CALLS }, async () => {
      const { token } = await shop.newUser()
      const trace = randomBytes(16).toString("hex")
      const client = createClient({
        url: shop.servers[0].url,
        token,
        links: [tracingLink(() => `00-${trace}-${CALLER}-01`)]
      })
      const { id: orderId } = await client.orders.create({ lines: [{ sku, quantity: 1 }] })
      return { orderId, trace, pay: () => client.payments.process({ orderId }) }
    })
  )
  await Promise.all(payments.map(({ pay }) => pay()))
  return new Map(payments.map(({ orderId, trace }) => [orderId, trace]))
}

describe("webhooks of calls that share transactions", () => {
  // Guarantees: each webhook belongs to the trace of the call that has caused it, whoever that call was committed with.
  test("are sent in the trace of the client's call, below the span that wrote the event", async () => {
    await using receiver = await startReceiver()
    await using hook = await startHook()
    await using shop = await Shop.open({ settings: { tracesUrl: receiver.url, webhook: hook.webhook } })
    const traces = await payAtOnce(shop)
    const [[{ transactions }]] = (await shop.sql.query(
      "SELECT COUNT(DISTINCT origin) AS transactions FROM outbox WHERE topic = 'order.paid'"
    )) as unknown as [[{ transactions: number }]]
    expect(transactions).toBeLessThan(CALLS)
    await hook.deliver(shop)
    expect(new Map([...hook.traceparents].map(([order, header]) => [order, traceOf(header)]))).toEqual(traces)
    const [traceparent] = hook.traceparents.values()
    const ofTrace = () => receiver.spans.filter(({ traceId }) => traceId === traceOf(traceparent))
    const sent = () => ofTrace().find(({ name }) => name === "webhook")
    await eventually(() => expect(sent()?.spanId).toBe(traceparent!.split("-")[2]), { timeoutMs: 30_000 })
    const cause = ofTrace().find(({ spanId }) => spanId === sent()?.parentSpanId)
    expect(["payments.process", "transaction"]).toContain(cause?.name)
  })

  test("carry the caller's span when the server makes none", async () => {
    await using hook = await startHook()
    await using shop = await Shop.open({ settings: { webhook: hook.webhook } })
    const traces = await payAtOnce(shop)
    await hook.deliver(shop)
    expect(hook.traceparents).toEqual(
      new Map([...traces].map(([order, trace]) => [order, `00-${trace}-${CALLER}-01`]))
    )
  })

  test("have no traceparent when nobody traces", async () => {
    await using hook = await startHook()
    await using shop = await Shop.open({ settings: { webhook: hook.webhook } })
    const user = await shop.newUser()
    const sku = await shop.newProduct("TEA", 1, 0)
    const { id } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
    await shop.ok(contract.payments.process, { orderId: id }, user)
    await hook.deliver(shop)
    expect([...hook.traceparents]).toEqual([[id, undefined]])
  })
})

describe("a traceparent", () => {
  test.each([
    [undefined],
    ["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
    ["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
    ["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    ["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
    ["x".repeat(10_000)]
  ])("that is none counts as missing: %s", (header) => {
    expect(callersSpan(header)).toBeUndefined()
  })
})
