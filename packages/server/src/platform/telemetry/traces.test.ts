import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, expect, test } from "vitest"
import { Shop } from "../../../test/shop.ts"
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
