import { createServer, type Server } from "node:http"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { extname, join, normalize } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { RunningServer } from "@holdfast/server"
import { findChromium, openInChromium, type Page } from "../packages/client-sdk/src/testing/chromium.ts"
import { node24, root } from "./bootstrap.mjs"
import { copyExample, install, packPackages, programOf, runProgram } from "./consumer.mjs"
import { type ExampleShop, startExampleShop } from "./example-shop.ts"

// Runs every example outside of this workspace, from the packed tarballs, against a real shop.
const packed = mkdtempSync(join(tmpdir(), "holdfast-packed-"))

let tarballs: Record<string, string>
let environment: ExampleShop["environment"]
let shop: RunningServer
let administrator: ExampleShop["administrator"]
/** Closed in reverse order, also after a start that fails half-way. */
const opened: Array<() => Promise<void> | void> = []

beforeAll(async () => {
  tarballs = await packPackages(["domain", "locks", "client-sdk", "server", "testkit"], packed)
  const started = await startExampleShop(opened)
  administrator = started.administrator
  environment = started.environment
  shop = started.server
}, 300_000)

afterAll(async () => {
  for (const close of opened.toReversed()) await close()
  rmSync(packed, { recursive: true, force: true })
})

/** Runs a program on Node 24 in the directory of the example. */
const runNode = (directory: string, ...args: Array<string>): Promise<string> =>
  runProgram(node24(), args, {
    cwd: directory,
    env: { ...process.env, ...environment, HOLDFAST_URL: shop.url }
  })

/** Sets up an example, with the program of a package's README beside its own and further dependencies. */
const withExample = async (
  name: string,
  use: (directory: string) => Promise<void>,
  readme?: string,
  added: Record<string, string> = {}
): Promise<void> => {
  const consumer = copyExample(name, tarballs, added)
  try {
    if (readme !== undefined) writeFileSync(join(consumer.directory, "src/readme.ts"), programOf(readme))
    await install("pnpm", consumer.directory)
    await runNode(consumer.directory, "node_modules/typescript/bin/tsc", "-p", ".")
    await use(consumer.directory)
  } finally {
    consumer.remove()
  }
}

test(
  "node-script buys, with promises and with Effect, and so does the client's README",
  { timeout: 300_000 },
  () =>
    withExample(
      "node-script",
      async (directory) => {
        expect(await runNode(directory, "dist/readme.js")).toMatch(
          /^PENDING: 450 to pay\nonly \d+ are left$/m
        )
        const printed = await runNode(directory, "dist/main.js")
        expect(printed).toMatch(/^signed up as ann-/)
        expect(printed).toMatch(/^order [0-9a-f-]{36}: 450, to be paid by /m)
        expect(printed).toMatch(/^only \d+ of CUP left$/m)
        expect(printed).toMatch(/^450 points needed$/m)
        expect(printed).toMatch(/^order [0-9a-f-]{36} is PENDING$/m)
      },
      "packages/client-sdk/README.md"
    )
)

test(
  "openapi-client generates its client from the running server and buys with it",
  { timeout: 300_000 },
  async () => {
    const consumer = copyExample("openapi-client", tarballs)
    try {
      await install("pnpm", consumer.directory)
      const generator = "node_modules/openapi-typescript/bin/cli.js"
      await runNode(consumer.directory, generator, `${shop.url}/openapi.json`, "-o", "src/schema.d.ts")
      await runNode(consumer.directory, "node_modules/typescript/bin/tsc", "-p", ".")
      const printed = await runNode(consumer.directory, "dist/main.js")
      expect(printed).toMatch(/^signed up as ann-/)
      expect(printed).toMatch(/^order [0-9a-f-]{36} for 450, once$/m)
      expect(printed).toMatch(/^only \d+ of \w+ left$/m)
    } finally {
      consumer.remove()
    }
  }
)

test("embedded-server serves and audits, and so does the server's README", { timeout: 300_000 }, () =>
  withExample(
    "embedded-server",
    async (directory) => {
      const printed = await runNode(directory, "dist/main.js")
      expect(printed).toMatch(/^3 products on the first page$/m)
      expect(printed).toMatch(/^the books are right$/m)
      expect(await runNode(directory, "dist/readme.js")).toBe("200 [ 'result' ]\nthe books are right\n")
    },
    "packages/server/README.md"
  )
)

test("testkit-elsewhere finds its bug and draws a timeline of it", { timeout: 300_000 }, () =>
  withExample("testkit-elsewhere", async (directory) => {
    // Without the addresses of the shop: the testkit starts its own servers.
    const vitest = ["node_modules/vitest/vitest.mjs", "run", "--no-color"]
    const printed = await runProgram(node24(), vitest, { cwd: directory })
    expect(printed).toMatch(/Tests {2}4 passed \(4\)/)
    expect(printed).toMatch(/found after \d+ schedules, repeats as steps:\d+/)
    const [timeline = ""] = readdirSync(join(directory, "timelines"))
    expect(readFileSync(join(directory, "timelines", timeline), "utf8")).toContain(
      "number 2 was handed out twice"
    )
  })
)

const executable = findChromium()
const isNeeded = process.env["CI"] !== undefined

/** Waits for the catalogue, clicks on its first product, and returns the status that the page shows. */
const buyInPage = `(async () => {
  const until = async (test) => { while (!test()) await new Promise((look) => setTimeout(look, 20)) }
  const status = () => document.querySelector("[role=status]")?.textContent ?? ""
  await until(() => status() === "Ready")
  document.querySelector("button[data-sku]").click()
  await until(() => status() !== "Ready")
  return document.querySelectorAll("button[data-sku]").length + " products; " + status()
})()`

/** Opens a built example in Chromium, at the shop of these tests. */
const inBrowser = (name: string, look: (page: Page) => Promise<void>) =>
  withExample(name, async (directory) => {
    if (executable === undefined) throw new Error("no Chromium found: run scripts/ci/install-chromium.sh")
    await runNode(directory, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")
    const site = await serveFolder(join(directory, "dist"))
    try {
      const { port } = site.address() as AddressInfo
      await using page = await openInChromium(executable, `http://127.0.0.1:${port}/?server=${shop.url}`)
      await look(page)
    } finally {
      site.closeAllConnections()
      site.close()
    }
  })

test.skipIf(executable === undefined && !isNeeded).each(["browser-page", "react-query"])(
  "%s shows the catalogue and buys in a real browser",
  { timeout: 300_000 },
  (name) =>
    inBrowser(name, async (page) => {
      expect(await page.evaluate(buyInPage)).toMatch(/^3 products; Ordered .*\b450/)
    })
)

/** Reads a balance and two pages, buys more than there is, then one, and sees the stock fall by it. */
const useHooksInPage = `(async () => {
  const until = async (test) => { while (!test()) await new Promise((look) => setTimeout(look, 20)) }
  const text = (selector) => document.querySelector(selector)?.textContent ?? ""
  const count = () => document.querySelectorAll("button[data-sku]").length
  const stock = () => Number(/: (\\d+) left/.exec(text("#stock"))?.[1])
  await until(() => text("[role=status]") === "Ready" && stock() > 0 && text("#balance") !== "Loading")
  const seen = [text("#balance"), count() + " products"]
  document.querySelector("#more").click()
  await until(() => count() === 3)
  seen.push(count() + " products")
  document.querySelector("button[data-all]").click()
  await until(() => text("[role=status]") !== "Ready")
  seen.push(text("[role=status]").replace(String(stock()), "N"))
  const before = stock()
  document.querySelector("button[data-sku]").click()
  await until(() => text("[role=status]").startsWith("Ordered") && stock() === before - 1)
  return [...seen, text("[role=status]")].join("; ")
})()`

test.skipIf(executable === undefined && !isNeeded)(
  "trpc-react-query reads pages, gets a typed error, buys and watches the stock by tRPC's own hooks",
  { timeout: 300_000 },
  () =>
    inBrowser("trpc-react-query", async (page) => {
      expect(await page.evaluate(useHooksInPage)).toMatch(
        /^0 points; 2 products; 3 products; only N of \w+ left; Ordered for \d+$/
      )
    })
)

/** What a reader of the API reference sees of other hosts, once it is there. */
const otherHosts = `(async () => {
  const until = async (test) => { while (!test()) await new Promise((look) => setTimeout(look, 20)) }
  await until(() => document.body.innerText.includes("/trpc/auth.register"))
  const isElsewhere = (url) => /^(https?|wss?):/.test(url) && new URL(url).host !== location.host
  const links = [...document.querySelectorAll("a[href]")].filter((link) => link.checkVisibility())
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name)
  const vendor = document.body.innerText.match(/powered by|ask ai|scalar|sign up for/i) ?? []
  return [...links.map(({ href }) => href).filter(isElsewhere), ...loaded.filter(isElsewhere), ...vendor].join(" ")
})()`

test.skipIf(executable === undefined && !isNeeded)(
  "the API reference works in a real browser, without its maker and without other hosts",
  { timeout: 120_000 },
  async () => {
    if (executable === undefined) throw new Error("no Chromium found: run scripts/ci/install-chromium.sh")
    await using page = await openInChromium(executable, `${shop.url}/docs/`)
    expect(await page.evaluate(otherHosts)).toBe("")
  }
)

/** Joins the programs of docs/sdk.md: all imports, the body of the first, then the others as nested blocks. */
const guideProgram = (): string => {
  const text = readFileSync(join(root, "docs/sdk.md"), "utf8")
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code)
  const IMPORT = /^import [^]*? from .*$/gm
  const imports = blocks.flatMap((block) => block.match(IMPORT) ?? [])
  const [opening, ...others] = blocks.map((block) =>
    block.replace(IMPORT, "").replace(`"http://localhost:3000"`, `url ?? ""`)
  )
  return [
    ...imports,
    `const { HOLDFAST_URL: url } = process.env`,
    `const [, , email = "", password = ""] = process.argv`,
    `const show = (...shown: ReadonlyArray<unknown>) => console.log(...shown)`,
    opening,
    ...others.map((block) => `{\n${block}}`)
  ].join("\n")
}

// Runs last: it adds a product to the catalogue, and the tests above count the products.
test("the programs of the client guide print what the guide says", { timeout: 300_000 }, () =>
  withExample(
    "node-script",
    async (directory) => {
      const reader = { email: "reader@example.com", password: "a password to read" }
      await administrator.admin.createProduct({
        sku: "LAMP",
        name: "A lamp",
        priceMinor: 900,
        initialStock: 2
      })
      const { id: userId } = await administrator.auth.register(reader)
      await administrator.admin.grantPoints({ userId, amount: 1_800, reason: "to read on" })
      writeFileSync(join(directory, "src", "guide.ts"), guideProgram())
      await runNode(directory, "node_modules/typescript/bin/tsc", "-p", ".")
      const printed = await runNode(directory, "dist/guide.js", reader.email, reader.password)
      expect(printed).toMatch(/^1800\n0 left\n/m)
      expect(printed).toMatch(/^PENDING\nPAID\nCANCELLED\n2 lamps\nOrderNotFound\n/m)
      expect(printed).toMatch(/^2 left$/m)
    },
    undefined,
    { "@trpc/client": "catalog:" }
  )
)

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" }

const serveFolder = async (folder: string): Promise<Server> => {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname
    const file = join(folder, normalize(path === "/" ? "/index.html" : path))
    try {
      const body = readFileSync(file)
      response
        .writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" })
        .end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}
