// Registers, lists the catalogue and orders a product. `npm start` in the repository serves a shop to run it against.
import { createClient, isHoldfastError, OutOfStock } from "@holdfast/client-sdk"
import { orderWithEffect } from "./effect.js"

const url = process.env["HOLDFAST_URL"] ?? "http://localhost:3000"
const credentials = { email: `ann-${crypto.randomUUID()}@example.com`, password: "correct horse battery" }

const visitor = createClient({ url })
const user = await visitor.auth.register(credentials)
console.log(`signed up as ${user.email} on ${user.createdAt.toISOString()}`)

// A client with credentials logs in when it needs a token and refreshes it by itself.
const ann = createClient({
  url,
  auth: credentials,
  onResponse: ({ attempt, durationMs, procedure }) =>
    console.log(`  ${procedure} #${attempt}: ${durationMs} ms`)
})

let inStock: { readonly sku: string; readonly stock: number } | undefined
for await (const product of ann.products.items({ limit: 10 })) {
  console.log(`${product.sku}: ${product.name}, ${product.stock} left at ${product.priceMinor}`)
  if (product.stock > 0) inStock ??= product
}
if (inStock === undefined) throw new Error("there is nothing to buy")
const { sku, stock } = inStock

// The order is placed at most once: the client generates an idempotency key and sends it with every retry.
const order = await ann.orders.create({ lines: [{ sku, quantity: 1 }] })
console.log(`order ${order.id}: ${order.totalMinor}, to be paid by ${order.expiresAt.toISOString()}`)

// Errors are classes with fields.
try {
  await ann.orders.create({ lines: [{ sku, quantity: stock + 1 }] })
} catch (error) {
  if (error instanceof OutOfStock) console.log(`only ${error.available} of ${error.sku} left`)
  else if (isHoldfastError(error)) console.log(`refused: ${error.message} (request ${error.requestId})`)
  else throw error
}

// In the safe style, errors are values that are discriminated by their tags.
const paid = await ann.safe.payments.process({ orderId: order.id })
if (paid.ok) console.log(`paid ${paid.value.amountMinor}`)
else if (paid.error._tag === "InsufficientPoints") console.log(`${paid.error.required} points needed`)
else throw paid.error

console.log(await orderWithEffect(ann, sku))
