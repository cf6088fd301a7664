import { contract, type Procedure } from "@holdfast/domain"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Arbitrary, Effect, Schema } from "effect"
import Fastify from "fastify"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Shop } from "../../../test/shop.ts"
import { addApiReference, type JsonObject, openApiOf } from "./openapi.ts"

const document = openApiOf(contract, "1.2.3")
const ajv = new Ajv2020({ strict: false, validateFormats: false })
ajv.addSchema(document, "document")

interface Operation {
  readonly path: string
  readonly method: "get" | "post"
  readonly security?: ReadonlyArray<JsonObject>
  readonly parameters: ReadonlyArray<{
    readonly name: string
    readonly in: string
    readonly content?: JsonObject
  }>
  readonly requestBody?: { readonly content: JsonObject }
  readonly responses: { readonly [status: string]: { readonly content: JsonObject } }
  readonly procedure: Procedure
}

const procedures = new Map<string, Procedure>(
  Object.entries(contract).flatMap(([group, members]) =>
    Object.entries(members).map(([name, procedure]) => [`/trpc/${group}.${name}`, procedure] as const)
  )
)

const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => {
    const procedure = procedures.get(path)
    if (procedure === undefined) throw new Error(`${path} is no procedure`)
    return { ...(operation as object), path, method, procedure } as Operation
  })
)

/** Sends a request as the document describes it. */
const request = (url: string, operation: Operation, input: unknown, token: string) => {
  const headers: Record<string, string> = {}
  if (operation.security !== undefined) headers["authorization"] = `Bearer ${token}`
  const address = new URL(operation.path, url)
  for (const { content, in: place, name } of operation.parameters) {
    if (place === "query" && content !== undefined) address.searchParams.set(name, JSON.stringify(input))
    if (place === "header" && name === "idempotency-key") headers[name] = `key-of-${operation.path}`
  }
  if (operation.requestBody === undefined) return fetch(address, { method: operation.method, headers })
  headers["content-type"] = "application/json"
  return fetch(address, { method: operation.method, headers, body: JSON.stringify(input) })
}

/** Inputs that a random sample would not hit. */
const chosen: { readonly [path: string]: unknown } = {
  "/trpc/auth.register": { email: "ann@example.com", password: "correct horse" },
  "/trpc/auth.login": { email: "ann@example.com", password: "correct horse" },
  "/trpc/admin.createCoupon": {
    name: "Spring",
    discount: { kind: "fixed", amountMinor: 500 },
    minimumOrderMinor: 1000,
    quantity: 5,
    startsAt: "2026-01-01T00:00:00.000Z",
    endsAt: "2027-01-01T00:00:00.000Z",
    validDays: 30
  }
}

const sampleInput = ({ path, procedure }: Operation): unknown => {
  if (path in chosen) return chosen[path]
  const [sample] = Effect.runSync(
    Arbitrary.sampleEffect(Arbitrary.schema(procedure.input), { size: 1, seed: 7 })
  )
  return Schema.encodeUnknownSync(procedure.input)(sample)
}

/** The errors of a value against the schema at a place of the document; `undefined` when it is valid. */
const faults = (pointer: ReadonlyArray<string>, value: unknown): unknown => {
  const path = pointer.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1")).map(encodeURIComponent)
  const validate = ajv.getSchema(`document#/${path.join("/")}`)
  if (validate === undefined) throw new Error(`no schema at ${pointer.join(" ")}`)
  return validate(value) === true ? undefined : validate.errors
}

let shop: Shop
beforeAll(async () => {
  shop = await Shop.open()
})
afterAll(() => shop.stop())

test("the document has an operation for every procedure", () => {
  expect(operations.map(({ path }) => path).toSorted()).toEqual([...procedures.keys()].toSorted())
})

const answeredOnce = operations.filter(({ procedure }) => procedure.kind !== "subscription")

test.each(answeredOnce.map((operation) => [operation.path, operation] as const))(
  "%s answers as the document says",
  async (path, operation) => {
    const response = await request(shop.servers[0].url, operation, sampleInput(operation), shop.admin.token)
    const answer: unknown = await response.json()
    const status = String(response.status)
    expect(Object.keys(operation.responses), JSON.stringify(answer)).toContain(status)
    const pointer = [
      "paths",
      path,
      operation.method,
      "responses",
      status,
      "content",
      "application/json",
      "schema"
    ]
    expect(faults(pointer, answer), JSON.stringify(answer)).toBeUndefined()
  }
)

/** The first event of a subscription, read as the document says. */
const firstEvent = async (path: string, input: unknown) => {
  const operation = operations.find((candidate) => candidate.path === path)!
  const response = await request(shop.servers[0].url, operation, input, shop.admin.token)
  expect(response.status).toBe(200)
  let text = ""
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const event = /(?:event: (serialized-error|return)\n)?data: (.+)\n(?:id: (.+)\n)?\n/.exec(
      text.replace(/event: connected\n.*\n/, "")
    )
    if (event !== null)
      return { name: event[1], data: JSON.parse(event[2] ?? "null") as unknown, id: event[3] }
  }
  throw new Error(`no event in ${text}`)
}

test("subscriptions send events and failures as the document says", async () => {
  const sku = await shop.newProduct("DOCUMENTED", 3)
  const { id: orderId } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, shop.admin)
  const item = (path: string) => [
    "paths",
    path,
    "get",
    "responses",
    "200",
    "content",
    "text/event-stream",
    "itemSchema"
  ]
  for (const [path, input] of [
    ["/trpc/products.watchStock", { sku }],
    ["/trpc/orders.watch", { orderId }]
  ] as const) {
    const { data, id } = await firstEvent(path, input)
    expect(id).toEqual(expect.any(String))
    expect(faults(item(path), data), JSON.stringify(data)).toBeUndefined()
    expect(faults(item(path), { sku: 3 })).toBeDefined()
  }
  const nothing = "01890000-0000-7000-8000-000000000000"
  for (const [path, input] of [
    ["/trpc/products.watchStock", { sku: "NOTHING" }],
    ["/trpc/orders.watch", { orderId: nothing }],
    ["/trpc/coupons.watchTicket", { ticketId: nothing }]
  ] as const) {
    const { data, name } = await firstEvent(path, input)
    expect(name).toBe("serialized-error")
    const failure = ["paths", path, "get", "responses", "404", "content", "application/json", "schema"]
    expect(faults(failure, { error: data }), JSON.stringify(data)).toBeUndefined()
  }
  expect(operations.filter(({ procedure }) => procedure.kind === "subscription")).toHaveLength(3)
})

test("the document's schemas reject a wrong answer", () => {
  const pointer = [
    "paths",
    "/trpc/points.balance",
    "get",
    "responses",
    "200",
    "content",
    "application/json",
    "schema"
  ]
  expect(faults(pointer, { result: { data: { balance: 5 } } })).toBeUndefined()
  expect(faults(pointer, { result: { data: { balance: -5 } } })).toBeDefined()
  expect(faults(pointer, { result: {} })).toBeDefined()
})

test("the document describes the failures of a wrong input and of a bad token", async () => {
  const create = operations.find(({ path }) => path === "/trpc/orders.create")!
  const pointer = (status: string) => [
    "paths",
    create.path,
    create.method,
    "responses",
    status,
    "content",
    "application/json",
    "schema"
  ]
  const wrong = await request(shop.servers[0].url, create, { lines: [] }, shop.admin.token)
  expect(wrong.status).toBe(400)
  expect(faults(pointer("400"), await wrong.json())).toBeUndefined()
  const nobody = await request(shop.servers[0].url, create, { lines: [] }, "nonsense")
  expect(nobody.status).toBe(401)
  expect(faults(pointer("401"), await nobody.json())).toBeUndefined()
})

test("the document is served, with a page that loads nothing from other hosts", async () => {
  const app = Fastify()
  await addApiReference(app, document)
  const served = await app.inject("/openapi.json")
  expect(served.json()).toEqual(JSON.parse(JSON.stringify(document)))
  const page = await app.inject("/docs/")
  expect(page.statusCode).toBe(200)
  expect(page.body).toContain("/openapi.json")
  expect(page.body.match(/(?:src|href)="https?:\/\/[^"]+"/g)).toBeNull()
  await app.close()
})
