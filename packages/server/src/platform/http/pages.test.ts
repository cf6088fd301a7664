import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import Fastify from "fastify"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { document } from "../../../test/api-document.ts"
import { Shop } from "../../../test/shop.ts"
import { welcome } from "../../welcome.ts"
import { addApiReference, addFirstPage } from "./pages.ts"

const run = promisify(execFile)

/** The text of a page's element, as a reader copies it. */
const copied = (html: string): string =>
  html.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))

const samplesOf = (page: string): ReadonlyArray<string> =>
  [...page.matchAll(/<code>([^<]*)<\/code><\/pre>/g)].map(([, text = ""]) => copied(text))

describe("the first page of a shop", () => {
  let shop: Shop
  let page: string
  beforeAll(async () => {
    shop = await Shop.open()
    await shop.newProduct("MUG", 7)
    page = await (await fetch(shop.servers[0].url)).text()
  })
  afterAll(() => shop.stop())

  test("its curl line works when it is pasted", async () => {
    const [curl = ""] = samplesOf(page)
    expect(curl).toMatch(/^curl /)
    const { stdout } = await run("sh", ["-c", `${curl} --silent`])
    expect(JSON.parse(stdout)).toMatchObject({ result: { data: { items: [{ sku: "MUG", stock: 7 }] } } })
  })

  test("its TypeScript lines work when they are pasted", async () => {
    const [, program = ""] = samplesOf(page)
    const folder = fileURLToPath(new URL("../../../.tsbuild/", import.meta.url))
    mkdirSync(folder, { recursive: true })
    const directory = mkdtempSync(join(folder, "pasted-"))
    try {
      writeFileSync(join(directory, "main.ts"), program)
      const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"]
      const { stdout } = await run(process.execPath, [...flags, join(directory, "main.ts")])
      expect(stdout).toMatch(/^MUG: .*, 7 left at \d+$/m)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  test("its links lead to something, and it shows no account", async () => {
    const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, href = ""]) => href)
    expect(links).toEqual(["/favicon.svg", "/docs/", "/openapi.json", "/readyz"])
    for (const link of links) expect((await fetch(new URL(link, shop.servers[0].url))).status, link).toBe(200)
    expect(page).not.toContain("Test accounts")
  })
})

describe("the pages of any server", () => {
  const app = Fastify()
  const account = { role: "user", email: "ann@shop.example", password: `<b>"a" & 'b'</b>` }
  beforeAll(async () => {
    addFirstPage(
      app,
      welcome(() => [account]),
      "1.2.3"
    )
    await addApiReference(app, document)
    await app.listen({ host: "127.0.0.1", port: 0 })
  })
  afterAll(() => app.close())

  const firstPage = (headers: Record<string, string>) =>
    new Promise<string>((resolve, reject) => {
      const { port } = app.server.address() as { readonly port: number }
      const options = { headers: { host: `localhost:${port}`, ...headers } }
      get(`http://127.0.0.1:${port}/`, options, (response) => {
        let text = ""
        response.on("data", (chunk) => (text += String(chunk))).on("end", () => resolve(text))
      }).on("error", reject)
    })

  test("accounts are shown on the server's machine alone, as text", async () => {
    const shown = await firstPage({})
    expect(shown).toContain("Test accounts")
    expect(shown).not.toContain("<b>")
    expect(copied(shown)).toContain(account.password)
  })

  test.each([
    ["another name of this machine", { host: "shop.example" }],
    ["the page of another site", { origin: "http://shop.example" }],
    ["a proxy", { "x-forwarded-for": "192.0.2.7" }],
    ["a proxy that says so in the standard's words", { forwarded: "for=192.0.2.7" }]
  ])("accounts are not shown to %s", async (_, headers) => {
    const page = await firstPage(headers)
    expect(page).toContain("Holdfast")
    expect(page).not.toContain("Test accounts")
    expect(page).not.toContain("ann@shop.example")
  })

  test("a host that is none is not repeated", async () => {
    expect(await firstPage({ host: `"><script>alert(1)</script>` })).not.toMatch(/alert|<script/)
  })

  test("the first page runs no script, and is not kept", async () => {
    const { body, headers } = await app.inject("/")
    expect(body).not.toContain("<script")
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-/)
    expect(headers["cache-control"]).toBe("no-store")
  })

  test.each([
    ["/favicon.svg", "image/svg+xml", "public, max-age=86400"],
    ["/favicon.ico", "image/x-icon", "public, max-age=86400"],
    ["/openapi.json", "application/json; charset=utf-8", "no-cache"],
    ["/docs/", "text/html; charset=utf-8", "no-cache"],
    ["/docs/js/scalar.js", "text/javascript; charset=utf-8", "no-cache"]
  ])("%s is served once and then known by its tag", async (path, contentType, cacheControl) => {
    const { headers, rawPayload, statusCode } = await app.inject(path)
    expect([statusCode, headers["content-type"], headers["cache-control"]]).toEqual([
      200,
      contentType,
      cacheControl
    ])
    expect(rawPayload.length).toBeGreaterThan(100)
    const again = await app.inject({ url: path, headers: { "if-none-match": String(headers["etag"]) } })
    expect([again.statusCode, again.rawPayload.length]).toEqual([304, 0])
  })

  test("the document is served as it is, and its page may load nothing from other hosts", async () => {
    expect((await app.inject("/openapi.json")).json()).toEqual(JSON.parse(JSON.stringify(document)))
    const { body, headers } = await app.inject("/docs/")
    expect(body.match(/<script(?! src=)/)).toBeNull()
    expect(body).not.toContain("http")
    const policy = String(headers["content-security-policy"])
    expect(policy).toContain("default-src 'none'; script-src 'self'; connect-src 'self';")
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/)
  })
})
