import { OutOfStock } from "@holdfast/domain"
import { afterEach, expect, test, vi } from "vitest"
import { createClient, isHoldfastError } from "./index.ts"
import { failureOf } from "./testing/failure-of.ts"
import { encodedOrder, encodedProduct, orderInput } from "./testing/fixtures.ts"
import { startWireServer, type WireServer } from "./testing/wire-server.ts"

const clientOf = ({ url }: WireServer) => createClient({ url, token: "the-token", retry: false })

/** Seven products in pages of `limit`; the cursor is the index of the next product. */
const startCatalogue = () =>
  startWireServer({
    "products.page": ({ input }) => {
      const { cursor = "0", limit = 3 } = input as { cursor?: string; limit?: number }
      const start = Number(cursor)
      if (cursor === "6") throw new Error("boom")
      const items = ["A", "B", "C", "D", "E", "F", "G"].slice(start, start + limit).map(encodedProduct)
      return { items, nextCursor: String(start + limit) }
    },
    "orders.create": () => encodedOrder()
  })

test("`withResponse` adds the details of the answer", async () => {
  await using server = await startCatalogue()
  const call = clientOf(server).orders.create(orderInput)
  const { response, value } = await call.withResponse()
  expect(value).toBe(await call)
  expect(response).toMatchObject({ requestId: server.calls[0]?.requestId, attempts: 1, status: 200 })
  expect(response.headers?.get("content-type")).toContain("application/json")
})

test("`autoPagingToArray` reads only the pages that it needs", async () => {
  await using server = await startCatalogue()
  const { products, safe } = clientOf(server)
  const five = await products.items({ limit: 3 }).autoPagingToArray({ limit: 5 })
  expect(five.map(({ sku }) => sku).join("")).toBe("ABCDE")
  expect(server.calls).toHaveLength(2)
  const found = await safe.products.items().autoPagingToArray({ limit: 2 })
  expect(found).toMatchObject({ ok: true, value: [{ sku: "A" }, { sku: "B" }] })
  expect(await safe.products.items().autoPagingToArray({ limit: 7 })).toMatchObject({
    ok: false,
    error: { _tag: "RemoteDefect" }
  })
  for (const limit of [0, 1.5, 10_001, Infinity])
    expect(await failureOf(products.items().autoPagingToArray({ limit }))).toBeInstanceOf(RangeError)
})

test("in the safe style pages and items are results, and a failure is the last one", async () => {
  await using server = await startCatalogue()
  const { safe } = clientOf(server)
  const pages: Array<unknown> = []
  for await (const page of safe.products.pages())
    pages.push(page.ok ? page.value.items.length : page.error._tag)
  expect(pages).toEqual([3, 3, "RemoteDefect"])
  const items: Array<unknown> = []
  for await (const item of safe.products.items()) items.push(item.ok ? item.value.sku : item.error._tag)
  expect(items).toEqual(["A", "B", "C", "D", "E", "F", "RemoteDefect"])
})

test("a hook that throws or rejects does not fail the call", async () => {
  await using server = await startCatalogue()
  const broken = () => {
    throw new Error("a hook's bug")
  }
  const rejecting = async () => broken()
  for (const hook of [broken, rejecting]) {
    const client = createClient({
      url: server.url,
      token: "t",
      onRequest: hook,
      onResponse: hook,
      debug: broken
    })
    expect(await client.orders.create(orderInput, { onResponse: hook })).toMatchObject({ status: "PENDING" })
  }
})

test("a stack begins at the caller", async () => {
  await using server = await startWireServer({
    "orders.create": () => {
      throw new OutOfStock({ sku: "TEA", requested: 2, available: 1 })
    }
  })
  const client = clientOf(server)
  const buyTea = () => client.orders.create(orderInput)
  const error = await failureOf(buyTea())
  if (!isHoldfastError(error)) throw error
  const [first, second] = (error.stack ?? "").split("\n")
  expect(first).toBe("OutOfStock: TEA: 2 asked for, 1 left")
  expect(second).toMatch(/at buyTea .*comfort\.test\.ts/)
  const invalid = await failureOf(client.orders.create({ lines: [] }))
  expect((invalid as Error).stack?.split("\n")[1]).toContain("comfort.test.ts")
})

afterEach(() => void vi.unstubAllEnvs())

test("`debug` tells of every request, and of no secret", async () => {
  await using server = await startCatalogue()
  const lines: Array<string> = []
  const options = { url: server.url, token: "the-token" }
  await createClient({ ...options, debug: (line) => lines.push(line) }).orders.create(orderInput, {
    idempotencyKey: "k"
  })
  expect(lines).toEqual([
    "holdfast: orders.create #1 (key k) is sent",
    expect.stringMatching(
      /^holdfast: orders\.create #1 \(key k\) is answered after \d+ ms \(request [0-9a-f-]{36}\)$/
    )
  ])
  expect(lines.join()).not.toMatch(/the-token|TEA/)
  const printed = vi.spyOn(console, "warn").mockImplementation(() => {})
  try {
    vi.stubEnv("HOLDFAST_DEBUG", "1")
    await createClient(options).orders.create(orderInput)
    expect(printed).toHaveBeenCalledTimes(2)
  } finally {
    printed.mockRestore()
  }
})

test("a page over plain http and React Native, without `randomUUID` or any `crypto`, can call", async () => {
  await using server = await startCatalogue()
  const keys = async () => {
    await clientOf(server).orders.create(orderInput)
    return server.calls.at(-1)?.idempotencyKey
  }
  const { crypto } = globalThis
  try {
    vi.stubGlobal("crypto", {
      getRandomValues: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes)
    })
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
    expect(await keys()).toMatch(uuid)
    vi.stubGlobal("crypto", undefined)
    expect(await keys()).toMatch(uuid)
  } finally {
    vi.unstubAllGlobals()
  }
})

test("a deprecated procedure is told once, and only to whom it concerns", async () => {
  await using server = await startCatalogue()
  server.intercept((request, response) => {
    response.setHeader("deprecation", "@1767225600")
    if (request.url?.includes("products")) response.setHeader("holdfast-deprecated", "products.bySku")
  })
  const told: Array<unknown> = []
  const client = createClient({ url: server.url, token: "t", onDeprecated: (event) => told.push(event) })
  await client.orders.create(orderInput)
  await client.orders.create(orderInput)
  await client.products.page()
  expect(told).toEqual([{ procedure: "orders.create", since: new Date("2026-01-01T00:00:00Z") }])
})

test("every request names the client and the version of its contract", async () => {
  await using server = await startCatalogue()
  const seen: Array<unknown> = []
  server.intercept(({ headers }) => void seen.push([headers["user-agent"], headers["holdfast-api-version"]]))
  await clientOf(server).orders.create(orderInput)
  expect(seen).toEqual([["holdfast-client-sdk (api 1)", "1"]])
})
