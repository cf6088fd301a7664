import { contract, type Procedure, pathsOf, REQUEST_BOUNDS } from "@holdfast/domain"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { sendRaw } from "../../../test/raw-socket.ts"
import { Shop } from "../../../test/shop.ts"

let shop: Shop
let url: string
beforeAll(async () => {
  shop = await Shop.open()
  url = shop.servers[0].url
})
afterAll(() => shop.stop())

const post = async (path: string, body: string | ReadableStream) => {
  const response = await fetch(`${url}/trpc/${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${shop.admin.token}`
    },
    body,
    duplex: "half"
  })
  return answerOf(response)
}

const get = async (pathAndQuery: string) => answerOf(await fetch(`${url}/trpc/${pathAndQuery}`))

interface ErrorAnswer {
  readonly error?: {
    readonly message: string
    readonly data: {
      readonly domain?: {
        readonly _tag: string
        readonly issues?: ReadonlyArray<{ path: string; message: string }>
      }
    }
  }
}

const answerOf = async (response: Response) => {
  const text = await response.text()
  const json = JSON.parse(text) as ErrorAnswer
  return { status: response.status, bytes: text.length, json, domain: json.error?.data.domain }
}

const wrongLines = (count: number) => JSON.stringify({ lines: Array.from({ length: count }, () => ({})) })

describe("the body of a request", () => {
  const written = [...pathsOf(contract)].filter(([{ kind }]) => kind === "mutation" || kind === "action")

  test.each(written.map(([procedure, path]) => [path, procedure] as const))(
    "of %s has no more bytes than its contract says, declared or in chunks",
    async (path, { maximumBytes = REQUEST_BOUNDS.bytes }: Procedure) => {
      const body = JSON.stringify({ text: "x".repeat(maximumBytes) })
      const refusal = {
        _tag: "InvalidInput",
        issues: [{ path: "", message: `must be at most ${maximumBytes} bytes` }]
      }
      expect(await post(path, body)).toMatchObject({ status: 413, domain: refusal })
      expect(await post(path, new Blob([body]).stream())).toMatchObject({ status: 413, domain: refusal })
    }
  )

  test("with 400,000 wrong lines is refused by its size", async () => {
    expect(await post("orders.create", wrongLines(400_000))).toMatchObject({ status: 413 })
  })

  test("with too long a list is refused before its items are looked at", async () => {
    const { bytes, domain } = await post("orders.create", wrongLines(20_000))
    expect(domain?.issues).toEqual([{ path: "lines", message: "must be at most 10000 lines" }])
    expect(bytes).toBeLessThan(1_000)
  })

  test("is answered with its first 100 problems", async () => {
    const { bytes, domain, status } = await post("orders.create", wrongLines(10_000))
    expect(status).toBe(400)
    expect(domain?.issues).toHaveLength(100)
    expect(domain?.issues?.[0]?.path).toMatch(/^lines\[0\]\./)
    expect(bytes).toBeLessThan(32_000)
  })

  test("is not repeated at length in the answer", async () => {
    const long = "x".repeat(60_000)
    for (const [path, input] of [
      ["auth.login", { email: long, password: { [long]: long } }],
      ["admin.createProduct", { sku: long, name: [long], priceMinor: long, initialStock: long }],
      ["admin.createCoupon", { discount: { kind: long } }],
      ["payments.process", { orderId: long }]
    ] as const) {
      const { bytes, domain } = await post(path, JSON.stringify(input))
      expect(domain?._tag).toBe("InvalidInput")
      expect(bytes).toBeLessThan(4_000)
    }
  })

  test("has its depth bounded before it is parsed", async () => {
    const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
    const refusal = { _tag: "InvalidInput", issues: [{ message: "must be nested at most 32 deep" }] }
    for (const body of [
      "[".repeat(1_000_000),
      `{"lines":${deep(400_000)}}`,
      `{"x":"\\\\","y":${deep(33)}}`,
      '{"a":'.repeat(33)
    ])
      expect(await post("orders.create", body)).toMatchObject({ status: 400, domain: refusal })
    expect(await get(`products.bySku?input=${deep(4_000)}`)).toMatchObject({ status: 400, domain: refusal })
    const parameters = await get(`products.bySku?input={}&connectionParams=${deep(4_000)}`)
    expect(parameters).toMatchObject({ status: 400, domain: refusal })
    const name = `${"[{".repeat(40)} \\" "`
    const product = { sku: "BRACKETS", name, priceMinor: 1, initialStock: 1 }
    expect(await post("admin.createProduct", JSON.stringify(product))).toMatchObject({ status: 200 })
  })

  test("may hold a key twice, or __proto__, without any effect on others", async () => {
    const line = '{"sku":"NOWHERE","quantity":1,"__proto__":{"quantity":5}}'
    const body = `{"__proto__":{"userCouponId":"x","isAdmin":true},"lines":[],"lines":[${line}]}`
    expect((await post("orders.create", body)).domain?._tag).toBe("ProductNotFound")
    expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined()
    const batch = await fetch(
      `${url}/trpc/products.page,products.page?batch=1&input=${encodeURIComponent('{"__proto__":{"0":{"limit":"x"}},"0":{},"1":{},"7":{"deep":1}}')}`
    )
    expect(batch.status).toBe(200)
    expect(await batch.json()).toHaveLength(2)
  })
})

describe("a batch", () => {
  const batch = (calls: ReadonlyArray<string>) => get(`${calls.join(",")}?batch=1&input={}`)
  const times = (count: number, call: string) => Array.from({ length: count }, () => call)

  test("has at most 20 calls", async () => {
    expect(await batch(times(20, "products.page"))).toMatchObject({ status: 200 })
    const { domain, status } = await batch(times(21, "products.page"))
    expect({ domain, status }).toEqual({
      status: 400,
      domain: { _tag: "InvalidInput", issues: [{ path: "batch", message: "must be at most 20 calls" }] }
    })
  })

  test("of thousands of calls, or of calls that do not exist, gets a short answer", async () => {
    for (const path of [
      ",".repeat(4_900),
      ",".repeat(900),
      times(20, "no.such").join(","),
      "x".repeat(990),
      times(20, "x".repeat(48)).join(",")
    ]) {
      const { bytes, status } = await get(`${path}?batch=1&input={}`)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expect(bytes).toBeLessThan(8_000)
    }
  })

  test("holds no call that travels alone, however it is written", async () => {
    const login = { email: "admin@shop.test", password: "wrong" }
    for (const path of [
      "auth.login,auth.login",
      "products.page,auth.me",
      "auth.login%2Cauth.login",
      "auth.login%252Cauth.login"
    ]) {
      const { domain, status } = await post(`${path}?batch=1`, JSON.stringify({ 0: login, 1: login }))
      expect({ path, status }).toEqual({ path, status: 400 })
      expect(domain).toMatchObject({ _tag: "InvalidInput", issues: [{ path: "batch" }] })
    }
    const alone = await post("auth.login?batch=1", JSON.stringify({ 0: login }))
    expect(alone.status).toBe(401)
  })
})

describe("a request that no client sends", () => {
  const request = (line: string, ...headers: ReadonlyArray<string>) =>
    [`${line} HTTP/1.1`, ...headers, "connection: close", "", ""].join("\r\n")
  const host = "host: shop"

  test.each([
    ["a host that is none", request("GET /trpc/products.page", "host: [")],
    ["a host with a password", request("GET /trpc/products.page", "host: me:secret@shop")],
    ["the page's host that is none", request("GET /docs", "host: [")],
    ["an address with a password", request("GET http://me:secret@shop/trpc/products.page", host)],
    ["a broken escape in the path", request("GET /trpc/%E0%A4%A", host)],
    ["a broken escape in a batch", request("GET /trpc/%25E0%25A4,x?batch=1", host)],
    ["a broken escape in the query", request("GET /trpc/products.page?input=%E0%A4%A", host)],
    ["an input twice", request("GET /trpc/products.page?input={}&input=[", host)],
    ["a name of Object's", request("GET /trpc/__proto__.constructor", host)],
    ["TRACE", request("TRACE /trpc/products.page", host)],
    ["PUT", request("PUT /trpc/products.page", host)],
    ["DELETE with a body", `${request("DELETE /trpc/auth.login", host, "content-length: 2")}{}`],
    ["a mutation by GET", request("GET /trpc/auth.login?input={}", host)],
    [
      "a compressed body",
      `${request("POST /trpc/auth.login", host, "content-type: application/json", "content-encoding: gzip", "content-length: 2")}{}`
    ],
    [
      "a form",
      `${request("POST /trpc/auth.login", host, "content-type: multipart/form-data; boundary=x", "content-length: 5")}--x--`
    ],
    ["text", `${request("POST /trpc/auth.login", host, "content-type: text/plain", "content-length: 2")}{}`],
    [
      "bytes",
      `${request("POST /trpc/auth.login", host, "content-type: application/octet-stream", "content-length: 2")}{}`
    ],
    ["no type", `${request("POST /trpc/auth.login", host, "content-length: 2")}{}`],
    [
      "a broken list of lengths",
      `${request("POST /trpc/auth.login", host, "content-type: application/json", "content-length: 2, 3")}{}`
    ],
    ["headers of 40 kB", request("GET /livez", host, `x-long: ${"x".repeat(40_000)}`)],
    ["a path of 15 kB", request(`GET /${"x".repeat(15_000)}`, host)],
    ["a token of 8 kB", request("GET /trpc/auth.me", host, `authorization: Bearer ${"x".repeat(8_000)}`)],
    ["no HTTP", "nonsense\r\n\r\n"]
  ])("is no defect of the server and gets a short answer: %s", async (_name, bytes) => {
    const answer = await sendRaw(url, bytes)
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
    expect(status, answer).toBeGreaterThanOrEqual(200)
    expect(status, answer).toBeLessThan(500)
    const body = answer.slice(answer.indexOf("\r\n\r\n"))
    expect(body.length).toBeLessThan(2_000)
    expect(body).not.toMatch(/secret|x{300}|node_modules|\.ts:/)
  })
})

test.each(["/openapi.json", "/docs/", "/docs/js/scalar.js"])(
  "%s is made once and is not sent again to who has it",
  async (path) => {
    const first = await fetch(`${url}${path}`)
    const etag = first.headers.get("etag")!
    expect((await first.arrayBuffer()).byteLength).toBeGreaterThan(100)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await fetch(`${url}${path}`, { headers: { "if-none-match": known } })
      expect([again.status, again.headers.get("etag"), await again.text()]).toEqual([304, etag, ""])
    }
    const other = await fetch(`${url}${path}`, { headers: { "if-none-match": '"other"' } })
    expect(other.status).toBe(200)
    await other.arrayBuffer()
  }
)
