/** The products that requests are about. */
export const PRODUCTS = 50

/** The text of the request with this number. */
export type MakeRequest = (n: number) => string

export type RequestKind = "reads" | "orders"

/** Requests as they go over the wire. */
export const makeRequests = (url: string, token: string): Readonly<Record<RequestKind, MakeRequest>> => {
  const host = `host: ${new URL(url).host}`
  return { reads: readOf(host), orders: orderOf(host, token) }
}

const readOf =
  (host: string): MakeRequest =>
  (n) =>
    `GET /trpc/products.bySku?input=${encodeURIComponent(JSON.stringify({ sku: `sku-${n % PRODUCTS}` }))} HTTP/1.1\r\n${host}\r\n\r\n`

/** No two orders under way are equal: one user's equal orders are one order, and the second is told so (409). */
const orderOf =
  (host: string, token: string): MakeRequest =>
  (n) => {
    const quantity = 1 + (Math.floor(n / PRODUCTS) % 1_000)
    const body = JSON.stringify({ lines: [{ sku: `sku-${n % PRODUCTS}`, quantity }] })
    const headers = [
      host,
      `authorization: Bearer ${token}`,
      "content-type: application/json",
      `content-length: ${body.length}`
    ]
    return `POST /trpc/orders.create HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n${body}`
  }
