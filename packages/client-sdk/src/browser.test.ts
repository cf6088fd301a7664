import type { IncomingMessage } from "node:http"
import { OutOfStock } from "@holdfast/domain"
import { expect, test } from "vitest"
import { bundle } from "./testing/bundle.ts"
import { findChromium, openInChromium } from "./testing/chromium.ts"
import { encodedOrder, encodedProduct, encodedSession, orderInput } from "./testing/fixtures.ts"
import { startWireServer } from "./testing/wire-server.ts"

/** Runs in the page and then in a worker: logs in, orders, loses a connection, gets an error, reads pages and watches. */
const program = `
  import { createClient, isHoldfastError, OutOfStock } from "./index.ts"
  const inWorker = typeof document === "undefined"
  const report = async () => {
    const client = createClient({ url: location.origin, auth: { email: "ann@example.com", password: "correct horse" } })
    const order = await client.orders.create(${JSON.stringify(orderInput)})
    const refused = await client.orders.create({ lines: [{ sku: "SOLD", quantity: 1 }] }).catch((error) => error)
    const invalid = await client.safe.orders.create({ lines: [] })
    const skus = []
    for await (const { sku } of client.products.items()) skus.push(sku)
    const levels = []
    for await (const { stock } of client.products.watchStock({ sku: "A" })) levels.push(stock)
    return {
      inWorker,
      isDate: order.createdAt instanceof Date,
      totalMinor: order.totalMinor,
      isOutOfStock: refused instanceof OutOfStock && isHoldfastError(refused),
      available: refused.available,
      hasRequestId: typeof refused.requestId === "string",
      invalid: invalid.ok || invalid.error._tag,
      skus,
      levels
    }
  }
  const answer = await report().catch((error) => ({ inWorker, failed: String(error) }))
  await fetch("/report", { method: "POST", body: JSON.stringify(answer) })
  if (!inWorker) new Worker("/program.js", { type: "module" })
`

const executable = findChromium()
// CI installs Chromium. Elsewhere the test is reported as skipped if there is none.
const isNeeded = process.env["CI"] !== undefined
test.skipIf(executable === undefined && !isNeeded)(
  "the client works in a real browser, in a page and in a worker",
  async () => {
    if (executable === undefined) throw new Error("no Chromium found: run scripts/ci/install-chromium.sh")
    const { code } = await bundle(program)
    const reports: Array<unknown> = []
    const { promise: complete, resolve } = Promise.withResolvers<void>()
    let cuts = 1
    await using server = await startWireServer({
      "auth.login": () => encodedSession("access", "refresh"),
      "orders.create": ({ input }) => {
        if (JSON.stringify(input).includes("SOLD"))
          throw new OutOfStock({ sku: "SOLD", requested: 1, available: 0 })
        return encodedOrder()
      },
      "products.page": ({ input }) =>
        (input as { cursor?: string }).cursor === undefined
          ? { items: [encodedProduct("A"), encodedProduct("B")], nextCursor: "next" }
          : { items: [encodedProduct("C")] },
      "products.watchStock": async function* () {
        for (const stock of [2, 1, 0]) yield { sku: "A", stock }
      }
    })
    server.intercept((request, response) => {
      const serve = (type: string, body: string) => {
        response.writeHead(200, { "content-type": type }).end(body)
        return true
      }
      if (request.url === "/") return serve("text/html", `<script type="module" src="/program.js"></script>`)
      if (request.url === "/program.js") return serve("text/javascript", code)
      if (request.url === "/report") {
        void textOf(request).then((body) => {
          if (reports.push(JSON.parse(body)) === 2) resolve()
        })
        return serve("text/plain", "")
      }
      if (request.url === "/trpc/orders.create" && cuts-- > 0) {
        request.socket.destroy()
        return true
      }
      return false
    })
    await using _ = await openInChromium(executable, `${server.url}/`)
    await complete
    const expected = {
      isDate: true,
      totalMinor: 900,
      isOutOfStock: true,
      available: 0,
      hasRequestId: true,
      invalid: "InvalidInput",
      skus: ["A", "B", "C"],
      levels: [2, 1, 0]
    }
    expect(reports).toEqual([
      { inWorker: false, ...expected },
      { inWorker: true, ...expected }
    ])
  }
)

const textOf = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request) text += String(chunk)
  return text
}
