import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

// A process of its own that answers every call at once, with the same bytes for every client: what is measured in the
// other process is the work of the clients alone.
const id = "01890a5d-ac96-774b-bcce-000000000001"
const at = "2026-01-02T03:04:05.678Z"

const product = { sku: "TEA", name: "Assam, 100 g", priceMinor: 450, stock: 7, createdAt: at }
const order = {
  id,
  userId: id,
  status: "PENDING",
  items: [
    { sku: "TEA", quantity: 2, unitPriceMinor: 450 },
    { sku: "POT", quantity: 1, unitPriceMinor: 1800 }
  ],
  totalMinor: 2700,
  discountMinor: 0,
  createdAt: at,
  expiresAt: at
}

const mutationBody = JSON.stringify({ result: { data: order } })
const queryBody = JSON.stringify({ result: { data: product } })

/** A batch names its procedures in the path and gets as many answers. */
const batchBody = (url: string) => {
  const calls = (url.split("?", 1)[0] ?? "").split(",").length
  return `[${Array.from({ length: calls }, () => queryBody).join()}]`
}

const server = createServer((request, response) => {
  request.resume()
  request.on("end", () => {
    response.setHeader("content-type", "application/json")
    response.end(request.method === "GET" ? batchBody(request.url ?? "") : mutationBody)
  })
})
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port))
process.on("disconnect", () => process.exit())
