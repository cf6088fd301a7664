import { describe, expect, test } from "vitest"
import { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

/** How an answer travels, and when. */
const FRAMING = ["content-length", "content-type", "date", "transfer-encoding"]

/** What is left of a limit differs between two calls; that it is said does not. */
const COUNTED = ["ratelimit-remaining", "ratelimit-reset"]

/** A parameter that nothing reads: only calls without any go directly. */
const THROUGH_TRPC = "through=trpc"

describe("a single call that is answered directly", () => {
  let shop: Shop
  let token: string
  useShop({}, async (opened) => {
    shop = opened
    token = (await shop.newUser()).token
    await shop.newProduct("MUG", 5)
  })

  const get = (path: string, input?: string, headers: Readonly<Record<string, string>> = {}) => ({
    path,
    query: input === undefined ? [] : [`input=${encodeURIComponent(input)}`],
    init: { headers }
  })
  const post = (path: string, body: string, headers: Readonly<Record<string, string>> = {}) => ({
    path,
    query: [],
    init: { method: "POST", body, headers: { "content-type": "application/json", ...headers } }
  })
  const own = () => ({ authorization: `Bearer ${token}`, origin: "https://shop.example" })
  const key = { "idempotency-key": "the same key" }
  const order = (quantity: number) => JSON.stringify({ lines: [{ sku: "MUG", quantity }] })

  test.for([
    ["an answer", () => get("products.bySku", '{"sku":"MUG"}')],
    ["an answer to no input", () => get("products.page")],
    ["an answer to a caller", () => get("points.balance", "{}", own())],
    [
      "an answer to a mutation, and to its retry",
      () => post("orders.create", order(1), { ...own(), ...key })
    ],
    ["a declared error", () => post("orders.create", order(6), own())],
    ["an unknown product", () => get("products.bySku", '{"sku":"NONE"}')],
    ["an invalid input", () => post("orders.create", '{"lines":[]}', own())],
    [
      "an invalid idempotency key",
      () => post("orders.create", order(1), { ...own(), "idempotency-key": "a b" })
    ],
    ["no token", () => get("points.balance", "{}")],
    ["a token that is none", () => get("points.balance", "{}", { authorization: "Bearer a.b.c" })],
    ["a caller without the role", () => post("admin.createProduct", "{}", own())],
    ["an input that is no JSON", () => get("products.bySku", "{")],
    ["a body that is no JSON", () => post("orders.create", "{", own())],
    ["an empty body", () => post("orders.create", "", own())],
    ["a query sent as a mutation", () => post("products.bySku", '{"sku":"MUG"}')],
    ["a mutation sent as a query", () => get("orders.create", order(1), own())]
  ] as const)("%s has the status, the headers and the body that tRPC gives", async ([, request]) => {
    const { init, path, query } = request()
    const ask = async (...parameters: ReadonlyArray<string>) => {
      const url = `${shop.servers[0].url}/trpc/${path}?${parameters.join("&")}`
      const headers = { "x-request-id": "compared", ...init.headers }
      const response = await fetch(url, { ...init, headers })
      return {
        status: response.status,
        mediaType: response.headers.get("content-type")?.split(";", 1)[0],
        headers: Object.fromEntries(
          [...response.headers]
            .filter(([name]) => !FRAMING.includes(name))
            .map(([name, value]) => [name, COUNTED.includes(name) ? Number.isInteger(Number(value)) : value])
        ),
        body: await response.text()
      }
    }
    const direct = await ask(...query)
    expect(direct).toEqual(await ask(...query, THROUGH_TRPC))
    expect(JSON.parse(direct.body)).toHaveProperty(direct.status === 200 ? "result.data" : "error.data.code")
  })
})
