import { expect, test } from "vitest"
import { testHttpSettings } from "../../../test/settings.ts"
import { Shop } from "../../../test/shop.ts"

const SHOP = "https://shop.example"
const http = { ...testHttpSettings, origins: [SHOP, "https://admin.shop.example"] }
const QUERY = "/trpc/products.page?input=%7B%7D"
const BATCH = "/trpc/products.page,products.categories?batch=1&input=%7B%7D"

const listOf = (header: string | null) => (header ?? "").split(",").map((name) => name.trim().toLowerCase())

// Guarantees: pages of other origins read nothing, and no cache gives one origin's answer to another.
test("answers are for the origins that are listed", async () => {
  await using shop = await Shop.open({ settings: { http } })
  const ask = (
    path: string,
    origin: string | undefined,
    init: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {}
  ) =>
    fetch(shop.servers[0].url + path, {
      ...init,
      headers: { ...(origin === undefined ? {} : { origin }), ...init.headers }
    })
  for (const path of [QUERY, BATCH, "/livez", "/nothing"]) {
    const allowed = await ask(path, SHOP)
    expect(allowed.headers.get("access-control-allow-origin"), path).toBe(SHOP)
    expect(allowed.headers.get("access-control-allow-credentials")).toBeNull()
    expect(listOf(allowed.headers.get("access-control-expose-headers"))).toEqual(
      expect.arrayContaining(["x-request-id", "retry-after", "ratelimit-remaining"])
    )
    for (const other of ["https://shop.example.evil.test", "null", undefined]) {
      const refused = await ask(path, other)
      expect(refused.headers.get("access-control-allow-origin"), `${path} ${other}`).toBeNull()
      expect(listOf(refused.headers.get("vary")), path).toContain("origin")
    }
  }
  const preflight = await ask("/trpc/orders.create", SHOP, {
    method: "OPTIONS",
    headers: {
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,idempotency-key"
    }
  })
  expect(preflight.status).toBe(204)
  expect(preflight.headers.get("access-control-max-age")).toBe("7200")
  expect(listOf(preflight.headers.get("access-control-allow-methods"))).toEqual(["get", "post"])
  expect(listOf(preflight.headers.get("access-control-allow-headers"))).toContain("idempotency-key")
})

test("without a list no page of another origin reads anything, and the API reference can be off", async () => {
  await using shop = await Shop.open({
    settings: { http: { ...testHttpSettings, origins: [], hasApiReference: false } }
  })
  const { url } = shop.servers[0]
  const answer = await fetch(url + QUERY, { headers: { origin: SHOP } })
  expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([])
  for (const path of ["/docs", "/docs/", "/docs/js/scalar.js", "/openapi.json"])
    expect((await fetch(url + path)).status, path).toBe(404)
})

test("every answer tells browsers to run and to frame nothing, and those of procedures are not stored", async () => {
  await using shop = await Shop.open()
  const { url } = shop.servers[0]
  const post = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }
  for (const [path, init] of [
    [QUERY, {}],
    [BATCH, {}],
    ["/trpc/auth.me?input=%7B%7D", {}],
    ["/trpc/auth.login", post],
    ["/trpc/nothing.here", {}],
    ["/livez", {}],
    ["/readyz", {}],
    ["/openapi.json", {}],
    ["/nothing", {}]
  ] as const) {
    const { headers } = await fetch(url + path, init)
    expect(headers.get("content-security-policy"), path).toBe("default-src 'none';frame-ancestors 'none'")
    expect(headers.get("x-content-type-options"), path).toBe("nosniff")
    expect(headers.get("x-frame-options"), path).toBe("DENY")
    expect(headers.get("referrer-policy"), path).toBe("no-referrer")
    expect(headers.get("strict-transport-security"), path).toMatch(/max-age=\d{8}/)
    expect(headers.get("x-powered-by"), path).toBeNull()
    if (path.startsWith("/trpc")) expect(headers.get("cache-control"), path).toBe("no-store")
  }
})

test("the page of the API reference runs its own scripts alone, and evaluates no text", async () => {
  await using shop = await Shop.open()
  const page = await fetch(`${shop.servers[0].url}/docs/`)
  const policy = page.headers.get("content-security-policy") ?? ""
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toContain("unsafe-eval")
  expect(/script-src ([^;]*)/.exec(policy)?.[1]).not.toContain("unsafe-inline")
  expect(await page.text()).not.toMatch(/<script(?![^>]*\bsrc=)/)
})
