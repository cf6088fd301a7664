// What the compiler must know of the SDK, under every version that users have.
import { type Client, createClient, isHoldfastError, OutOfStock } from "@holdfast/client-sdk"

const client: Client = createClient({ url: "http://localhost:3000", token: "a token" })

export const available = async (sku: string): Promise<number> => {
  try {
    const order = await client.orders.create({ lines: [{ sku, quantity: 1 }] })
    const at: Date = order.createdAt
    return at.getTime()
  } catch (error) {
    if (error instanceof OutOfStock) return error.available
    if (isHoldfastError(error)) return error.message.length
    throw error
  }
}

export const paid = async (orderId: string): Promise<number> => {
  const outcome = await client.safe.payments.process({ orderId })
  if (outcome.ok) return outcome.value.amountMinor
  return outcome.error._tag === "InsufficientPoints" ? outcome.error.required : 0
}

// @ts-expect-error an order has lines
void client.orders.create({ sku: "TEA" })
