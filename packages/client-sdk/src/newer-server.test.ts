import { OutOfStock, type OrderStatus, Unauthenticated } from "@holdfast/domain"
import { expect, test } from "vitest"
import { createClient, isHoldfastError, UnknownError } from "./index.ts"
import { failureOf } from "./testing/failure-of.ts"
import { encodedOrder, orderId, orderInput } from "./testing/fixtures.ts"
import { startWireServer, type WireServer } from "./testing/wire-server.ts"

const clientOf = ({ url }: WireServer) => createClient({ url, token: "t1", retry: false })

/** Answers every request with an error that a server of this version cannot make. */
const failWith = (server: WireServer, domain: object, retryable = false) =>
  server.intercept((_request, response) => {
    const data = { code: "CONFLICT", httpStatus: 409, requestId: "r1", retryable, domain }
    response.writeHead(409, { "content-type": "application/json" })
    response.end(JSON.stringify({ error: { message: "your wallet is frozen", code: -32009, data } }))
    return true
  })

test("a committed mutation is no failure when its answer has an unknown enum value, member or field", async () => {
  await using server = await startWireServer({
    "orders.create": () => ({ ...encodedOrder(), status: "RETURNED", giftWrapped: true }),
    "orders.page": () => ({ items: [encodedOrder(), { ...encodedOrder(), status: "RETURNED" }] }),
    "coupons.mine": () => ({ items: [{ ...coupon, discount: { kind: "points", points: 5 } }] })
  })
  const client = clientOf(server)
  const order = await client.orders.create(orderInput)
  expect(order.status satisfies OrderStatus).toBe("RETURNED")
  expect(order.createdAt).toBeInstanceOf(Date)
  expect(order).not.toHaveProperty("giftWrapped")
  const { items } = await client.orders.page()
  expect(items.map(({ status }) => status)).toEqual(["PENDING", "RETURNED"])
  const coupons = await client.coupons.mine()
  expect(coupons.items[0]?.discount).toEqual({ kind: "points", points: 5 })
  expect(coupons.items[0]?.issuedAt).toBeInstanceOf(Date)
})

const coupon = {
  id: orderId,
  couponId: orderId,
  userId: orderId,
  name: "Spring",
  minimumOrderMinor: 0,
  issuedAt: "2026-01-02T03:04:05.678Z",
  expiresAt: "2026-02-02T03:04:05.678Z"
}

test("an answer that breaks the contract is still a defect", async () => {
  await using server = await startWireServer({
    "orders.create": () => ({ ...encodedOrder(), status: 7 }),
    "coupons.mine": () => ({ items: [{ ...coupon, discount: { kind: "percent", percent: "ten" } }] })
  })
  const client = clientOf(server)
  for (const call of [client.orders.create(orderInput), client.coupons.mine()])
    expect(await failureOf(call)).toMatchObject({ _tag: "RemoteDefect", code: "UNREADABLE_ANSWER" })
})

test("an unknown error keeps its tag, its fields and the server's verdict", async () => {
  await using server = await startWireServer()
  failWith(server, { _tag: "WalletFrozen", until: "2027-01-01T00:00:00Z" }, true)
  const result = await clientOf(server).safe.orders.create(orderInput)
  if (result.ok || result.error._tag !== "UnknownError") throw new Error("not unknown")
  expect(result.error).toBeInstanceOf(UnknownError)
  expect(isHoldfastError(result.error)).toBe(true)
  expect(result.error).toMatchObject({
    tag: "WalletFrozen",
    fields: { until: "2027-01-01T00:00:00Z" },
    code: "CONFLICT",
    httpStatus: 409,
    retryable: true,
    attempts: 1
  })
  expect(result.error.message).toBe("orders.create: your wallet is frozen (WalletFrozen)")
})

test("a declared error with an unknown value or field keeps its class", async () => {
  await using server = await startWireServer()
  failWith(server, { _tag: "Unauthenticated", reason: "revoked" })
  const revoked = await failureOf(clientOf(server).points.balance())
  expect(revoked).toBeInstanceOf(Unauthenticated)
  expect(revoked).toMatchObject({ _tag: "Unauthenticated", reason: "revoked", retryable: false })
  expect((revoked as Error).message).toBe("the access token is revoked")
  failWith(server, { _tag: "OutOfStock", sku: "TEA", requested: 2, available: 1, restockedAt: "tomorrow" })
  const sold = await failureOf(clientOf(server).orders.create(orderInput))
  expect(sold).toBeInstanceOf(OutOfStock)
  expect(sold).toMatchObject({ available: 1 })
})

test("an error survives `structuredClone` and `JSON`, with its page", async () => {
  await using server = await startWireServer()
  failWith(server, { _tag: "OutOfStock", sku: "TEA", requested: 2, available: 1 })
  const error = await failureOf(clientOf(server).orders.create(orderInput, { idempotencyKey: "k1" }))
  if (!isHoldfastError(error)) throw error
  const clone = structuredClone(error) as Error
  expect(clone.message).toBe("TEA: 2 asked for, 1 left")
  expect(clone.stack).toContain("newer-server.test.ts")
  expect(clone.cause).toMatchObject({ _tag: "OutOfStock", sku: "TEA", requested: 2, available: 1 })
  expect(clone.cause).toMatchObject({ retryable: false, requestId: "r1", idempotencyKey: "k1", attempts: 1 })
  expect(error.docsUrl).toMatch(/\/docs\/errors\/OutOfStock\.md$/)
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    _tag: "OutOfStock",
    sku: "TEA",
    requested: 2,
    available: 1,
    message: "TEA: 2 asked for, 1 left",
    retryable: false,
    requestId: "r1",
    idempotencyKey: "k1",
    attempts: 1,
    docsUrl: error.docsUrl
  })
})

test("every kind of error survives `structuredClone`, below it what went wrong", async () => {
  const client = createClient({
    url: "http://shop.example",
    token: "t1",
    retry: false,
    fetch: () => Promise.reject(new TypeError("no network"))
  })
  const lost = await failureOf(client.orders.create(orderInput, { idempotencyKey: "k1" }))
  const { cause } = structuredClone(lost) as { readonly cause: unknown }
  expect(cause).toMatchObject({ _tag: "TransportError", reason: "connection-lost", maybeSent: true })
  expect(cause).toMatchObject({ idempotencyKey: "k1", cause: { message: "no network" } })
  expect((cause as { readonly cause: unknown }).cause).toBeInstanceOf(TypeError)
  const invalid = await failureOf(client.orders.create({ lines: [] }))
  const issues = [{ path: "lines", message: "an order needs at least one line" }]
  expect(structuredClone(invalid)).toMatchObject({ cause: { _tag: "InvalidInput", issues } })
})
