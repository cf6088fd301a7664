import { createClient } from "@holdfast/client-sdk"
import { createTRPCUntypedClient, httpBatchLink, httpLink, splitLink } from "@trpc/client"

/** A client under measurement: the same two calls, whoever makes them. */
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

/** Checks the input, makes a key, guards the deadline, decodes the answer into dates and brands. */
export const holdfast = (url: string): Contestant => {
  const client = createClient({ url, token: "a token" })
  return {
    order: () => client.orders.create(orderInput),
    product: () => client.products.bySku(productInput)
  }
}

/** The plain client with the links that ours uses: sends JSON, gives back JSON. */
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
