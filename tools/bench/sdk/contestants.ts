import { createClient } from "@holdfast/client-sdk"
import { createTRPCUntypedClient, httpBatchLink, httpLink, splitLink } from "@trpc/client"

/** A client under measurement: two calls. */
export interface Contestant {
  readonly order: () => Promise<unknown>
  readonly product: () => Promise<unknown>
}

const orderInput = {
  lines: [
    { sku: "TEA", quantity: 2 },
    { sku: "POT", quantity: 1 }
  ]
}
const productInput = { sku: "TEA" }

/** Holdfast's client: validates, makes an idempotency key, keeps a deadline and decodes dates and brands. */
export const holdfast = (url: string): Contestant => {
  const client = createClient({ url, token: "a token" })
  return {
    order: () => client.orders.create(orderInput),
    product: () => client.products.bySku(productInput)
  }
}

/** The plain tRPC client with the same links: sends and returns JSON. */
export const plainTrpc = (url: string): Contestant => {
  const options = { url: `${url}/trpc`, headers: { authorization: "Bearer a token" } }
  const client = createTRPCUntypedClient({
    links: [
      splitLink({
        condition: ({ type }) => type === "query",
        true: httpBatchLink(options),
        false: httpLink(options)
      })
    ]
  })
  return {
    order: () => client.mutation("orders.create", orderInput),
    product: () => client.query("products.bySku", productInput)
  }
}
