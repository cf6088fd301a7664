// Registers, lists the catalogue and orders a product, without any package of Holdfast: `npm run generate` makes the types
// from the document of a running server.
import createClient from "openapi-fetch"
import type { components, paths } from "./schema.d.ts"

const baseUrl = process.env["HOLDFAST_URL"] ?? "http://localhost:3000"

const api = createClient<paths>({ baseUrl })

/** The answer of a call; its error is thrown. */
const answerOf = <A>({ data, error }: { data?: { result: { data: A } }; error?: unknown }): A => {
  if (data === undefined) throw new Error(JSON.stringify(error))
  return data.result.data
}

const credentials = { email: `ann-${crypto.randomUUID()}@example.com`, password: "correct horse battery" }
const user = answerOf(await api.POST("/trpc/auth.register", { body: credentials }))
console.log(`signed up as ${user.email}`)

const { accessToken } = answerOf(await api.POST("/trpc/auth.login", { body: credentials }))
api.use({
  onRequest: ({ request }) => {
    request.headers.set("authorization", `Bearer ${accessToken}`)
  }
})

// The input of a query is JSON text.
const input = JSON.stringify({ limit: 10 })
const page = answerOf(await api.GET("/trpc/products.page", { params: { query: { input } } }))
const product = page.items.find(({ stock }) => stock > 0)
if (product === undefined) throw new Error("there is nothing to buy")

const textOf = ({ name, priceMinor, sku, stock }: components["schemas"]["Product"]) =>
  `${sku}: ${name}, ${stock} left at ${priceMinor}`
console.log(textOf(product))

/** Orders units of the product. A retry sends the same key, and gets the same answer. */
const order = (quantity: number, key: string) =>
  api.POST("/trpc/orders.create", {
    body: { lines: [{ sku: product.sku, quantity }] },
    params: { header: { "idempotency-key": key } }
  })

const key = crypto.randomUUID()
const [first, second] = [answerOf(await order(1, key)), answerOf(await order(1, key))]
console.log(`order ${first.id} for ${first.totalMinor}, ${first.id === second.id ? "once" : "twice"}`)

const { error } = await order(product.stock + 1, crypto.randomUUID())
if (error !== undefined && "domain" in error.error.data && error.error.data.domain._tag === "OutOfStock")
  console.log(`only ${error.error.data.domain.available} of ${error.error.data.domain.sku} left`)
