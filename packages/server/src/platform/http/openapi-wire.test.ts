import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, expect, test } from "vitest"
import { faultsOf, type Operation, operationOf, operations } from "../../../test/api-document.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { examples } from "../../api-examples.ts"

let shop: Shop
let url: string
beforeAll(async () => {
  shop = await Shop.open()
  url = shop.servers[0].url
})
afterAll(() => shop.stop())

interface RequestOptions {
  readonly token?: string | undefined
  readonly key?: string
  /** What is sent in the place of the input's JSON. */
  readonly text?: string
}

/** Sends a request as the document describes it. */
const request = (operation: Operation, input: unknown, { key, text, token }: RequestOptions = {}) => {
  const headers: Record<string, string> = {}
  if (token !== undefined && operation.security.length > 0) headers["authorization"] = `Bearer ${token}`
  const address = new URL(operation.path, url)
  const json = text ?? JSON.stringify(input)
  for (const { content, in: place, name } of operation.parameters) {
    if (place === "query" && content !== undefined) address.searchParams.set(name, json)
    if (name === "idempotency-key") headers[name] = key ?? randomUUID()
  }
  if (operation.requestBody === undefined) return fetch(address, { method: operation.method, headers })
  headers["content-type"] = "application/json"
  return fetch(address, { method: operation.method, headers, body: json })
}

const called = new Set<string>()

/** Calls a procedure; the answer must be valid under the schema that the document has for its status. */
const call = async (name: string, input: unknown, options?: RequestOptions) => {
  const operation = operationOf(name)
  const response = await request(operation, input, { token: shop.admin.token, ...options })
  const answer = (await response.json()) as {
    readonly result?: { readonly data: Record<string, unknown> }
    readonly error?: { readonly data: { readonly domain?: { readonly _tag: string } } }
  }
  const status = String(response.status)
  const described = operation.responses[status] ?? operation.responses["default"]!
  expect(
    faultsOf(described.content["application/json"]!.schema, answer),
    JSON.stringify(answer)
  ).toBeUndefined()
  expect(response.headers.get("x-request-id")).toEqual(expect.any(String))
  return { status: response.status, data: answer.result?.data ?? {}, tag: answer.error?.data.domain?._tag }
}

/** A call that must succeed. */
const ok = async (name: string, input: unknown, options?: RequestOptions) => {
  const { data, status, tag } = await call(name, input, options)
  expect(status, `${name} ${tag}`).toBe(200)
  called.add(name)
  return data
}

test("every procedure answers as the document says", async () => {
  const { admin } = examples
  const user = await ok("auth.register", examples.auth.register.input)
  const { refreshToken } = await ok("auth.login", examples.auth.login.input)
  await ok("auth.refresh", { refreshToken })
  await ok("auth.me", {})
  const leaving = await shop.newUser()
  const { items } = (await ok("auth.sessions", {}, leaving)) as { items: ReadonlyArray<{ id: string }> }
  const passwords = { currentPassword: "a password", newPassword: "another password" }
  await ok("auth.changePassword", passwords, leaving)
  await ok("auth.revokeSession", { sessionId: items[0]!.id }, leaving)
  await ok("auth.logout", {}, await shop.newUser())
  const { sku } = await ok("admin.createProduct", admin.createProduct.input)
  await ok("admin.adjustStock", { sku, delta: 5, reason: "more" })
  await ok("products.bySku", { sku })
  await ok("products.page", examples.products.page.input)
  await ok("products.search", { text: "mug" })
  await ok("products.categories", {})
  await ok("products.topSellers", { limit: 10 })
  const runs = { startsAt: new Date().toISOString(), endsAt: "2100-01-01T00:00:00Z" }
  const { id: couponId } = await ok("admin.createCoupon", { ...admin.createCoupon.input, ...runs })
  await ok("coupons.byId", { couponId })
  await ok("coupons.page", {})
  await ok("admin.pauseCoupon", { couponId })
  await ok("admin.resumeCoupon", { couponId })
  await ok("admin.raiseCouponQuantity", { couponId, additional: 5 })
  const ticket = await ok("coupons.requestIssue", { couponId })
  await ok("coupons.ticket", { ticketId: ticket["id"] })
  const customer = await shop.newUser()
  const { id: userCouponId } = await ok("coupons.issue", { couponId }, customer)
  await ok("coupons.mine", {}, customer)
  await ok("admin.couponCounts", {})
  await ok("admin.grantPoints", { userId: customer.id, amount: 9_000, reason: "a present" })
  await ok("points.charge", { amount: 1_000 }, customer)
  await ok("points.balance", {}, customer)
  const { id: orderId } = await ok("orders.create", { lines: [{ sku, quantity: 1 }], userCouponId }, customer)
  await ok("orders.get", { orderId }, customer)
  await ok("payments.process", { orderId }, customer)
  await ok("payments.get", { orderId }, customer)
  await ok("points.history", {}, customer)
  await ok("orders.cancel", { orderId }, customer)
  await ok("orders.page", {}, customer)
  await ok("admin.deadLetters", {})
  await ok("admin.auditTrail", {})
  expect(await call("admin.retryDelivery", { deliveryId: 1 })).toMatchObject({ tag: "DeadLetterNotFound" })
  expect(user).toHaveProperty("id")
  const answered = operations.filter(({ procedure }) => procedure.kind !== "subscription")
  const rest = answered.map(({ operationId }) => operationId).filter((name) => !called.has(name))
  expect(rest).toEqual(["admin.retryDelivery"])
})

test("queries without a required field may leave their input out, and no others", async () => {
  for (const { operationId, parameters, path, procedure } of operations) {
    if (procedure.kind !== "query") continue
    const headers = { authorization: `Bearer ${shop.admin.token}` }
    const { status } = await fetch(new URL(path, url), { headers })
    const isRequired = parameters.find(({ name }) => name === "input")!.required
    expect(status, operationId).toBe(isRequired ? 400 : 200)
  }
})

test("errors are answered as the document says", async () => {
  const user: TestUser = await shop.newUser()
  const sku = await shop.newProduct("FEW", 1)
  const nothing = "01890000-0000-7000-8000-000000000000"
  const order = { lines: [{ sku, quantity: 2 }] }
  const cases: ReadonlyArray<
    readonly [name: string, input: unknown, tag: string | undefined, options?: RequestOptions]
  > = [
    ["orders.create", { lines: [] }, "InvalidInput"],
    ["orders.create", undefined, "InvalidInput", { text: "{" }],
    ["products.page", undefined, "InvalidInput", { text: "{" }],
    ["products.page", undefined, "InvalidInput", { text: "[".repeat(100) }],
    ["auth.login", undefined, "InvalidInput", { text: "x".repeat(200_000) }],
    ["orders.create", order, "InvalidInput", { key: "two words" }],
    ["orders.create", order, "Unauthenticated", { token: "nonsense" }],
    ["auth.me", {}, "Unauthenticated", { token: undefined }],
    ["admin.deadLetters", {}, "Forbidden", user],
    ["auth.register", { email: user.email, password: "a password" }, "EmailTaken"],
    ["auth.login", { email: user.email, password: "another password" }, "InvalidCredentials"],
    ["products.bySku", { sku: "NOTHING" }, "ProductNotFound"],
    ["orders.create", order, "OutOfStock", user],
    ["orders.create", { lines: [{ sku: "NOTHING", quantity: 1 }] }, "ProductNotFound", user],
    ["orders.get", { orderId: nothing }, "OrderNotFound", user],
    ["coupons.issue", { couponId: nothing }, "CouponNotFound", user],
    ["points.charge", { amount: 1 }, "ChargeAmountNotAllowed", user],
    ["admin.createProduct", { sku, name: "Few", priceMinor: 1, initialStock: 1 }, "SkuTaken"],
    ["admin.grantPoints", { userId: nothing, amount: 1, reason: "none" }, "UserNotFound"]
  ]
  for (const [name, input, tag, options] of cases)
    expect((await call(name, input, options)).tag, `${name} ${JSON.stringify(input)}`).toBe(tag)
  const key = randomUUID()
  await ok("points.charge", { amount: 1_000 }, { ...user, key })
  expect((await call("points.charge", { amount: 2_000 }, { ...user, key })).tag).toBe("IdempotencyKeyReused")
})

test("a defect is answered as the document says", async () => {
  await shop.sql.query("RENAME TABLE payments TO payments_away")
  try {
    const { status, tag } = await call("payments.get", { orderId: "01890000-0000-7000-8000-000000000000" })
    expect([status, tag]).toEqual([500, undefined])
  } finally {
    await shop.sql.query("RENAME TABLE payments_away TO payments")
  }
})

/** The events of a subscription until the first with data of its own. */
const firstEvent = async (name: string, input: unknown) => {
  const response = await request(operationOf(name), input, { token: shop.admin.token })
  expect(response.status).toBe(200)
  expect(response.headers.get("content-type")).toBe("text/event-stream")
  const events: Array<{ event?: string; data?: unknown; id?: string }> = []
  let text = ""
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = text
        .slice(0, end)
        .split("\n")
        .map((line) => line.split(/: ?(.*)/s, 2))
      text = text.slice(end + 2)
      const { data = "", ...event } = Object.fromEntries(fields) as Record<string, string>
      events.push({ ...event, ...(data === "" ? {} : { data: JSON.parse(data) as unknown }) })
      if (event["event"] !== "connected" && event["event"] !== "ping") return events
    }
  }
  throw new Error(`no event in ${text}`)
}

test("subscriptions send events and failures as the document says", async () => {
  const sku = await shop.newProduct("WATCHED", 3)
  const { id: orderId } = await ok("orders.create", { lines: [{ sku, quantity: 1 }] })
  const streamOf = (name: string) =>
    operationOf(name).responses["200"]!.content["text/event-stream"]!.schema["contentSchema"] as {
      readonly [key: string]: never
    }
  for (const [name, input] of [
    ["products.watchStock", { sku }],
    ["orders.watch", { orderId }]
  ] as const) {
    const events = await firstEvent(name, input)
    expect(faultsOf(streamOf(name), events), JSON.stringify(events)).toBeUndefined()
    expect(events.at(-1)).toHaveProperty("id")
    expect(faultsOf(streamOf(name), [{ id: "1", data: { sku: 3 } }])).toBeDefined()
  }
  const nothing = "01890000-0000-7000-8000-000000000000"
  for (const [name, input, tag] of [
    ["products.watchStock", { sku: "NOTHING" }, "ProductNotFound"],
    ["products.watchStock", { sku: 3 }, "InvalidInput"],
    ["orders.watch", { orderId: nothing }, "OrderNotFound"],
    ["coupons.watchTicket", { ticketId: nothing }, "TicketNotFound"]
  ] as const) {
    const events = await firstEvent(name, input)
    expect(faultsOf(streamOf(name), events), JSON.stringify(events)).toBeUndefined()
    expect(events.at(-1)).toMatchObject({
      event: "serialized-error",
      data: { data: { domain: { _tag: tag } } }
    })
  }
  const deep = await call("products.watchStock", undefined, { text: "[".repeat(100) })
  expect([deep.status, deep.tag]).toEqual([400, "InvalidInput"])
})

test("the document's schemas reject a wrong answer", () => {
  const { schema } = operationOf("points.balance").responses["200"]!.content["application/json"]!
  expect(faultsOf(schema, { result: { data: { balance: 5 } } })).toBeUndefined()
  expect(faultsOf(schema, { result: { data: { balance: -5 } } })).toBeDefined()
  expect(faultsOf(schema, { result: {} })).toBeDefined()
})
