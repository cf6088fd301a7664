/**
 * What a user's program does with the SDK on every platform: signs up, reads pages, orders, is refused, and watches.
 * @param sdk the exports of `@holdfast/client-sdk`
 * @param shop the server's address, and whether the platform has what subscriptions need
 * @returns plain data, the same on all platforms
 */
export async function useShop(sdk, { subscribes = true, url }) {
  const credentials = {
    email: `on-${Math.random().toString(36).slice(2)}@platforms.test`,
    password: "correct horse battery staple"
  }
  await sdk.createClient({ url }).auth.register(credentials)
  const client = sdk.createClient({ url, auth: credentials })
  const skus = []
  for await (const { sku } of client.products.items({ limit: 2 })) skus.push(sku)
  const order = await client.orders.create({ lines: [{ sku: "TEA", quantity: 2 }] })
  const refusal = await client.orders
    .create({ lines: [{ sku: "TEA", quantity: 500 }] })
    .catch((thrown) => thrown)
  return {
    skus: skus.toSorted((a, b) => (a < b ? -1 : 1)),
    order: [order.status, order.totalMinor, order.createdAt instanceof Date],
    refusal:
      refusal instanceof sdk.OutOfStock && sdk.isHoldfastError(refusal) ? refusal.sku : String(refusal),
    watched: subscribes ? await firstStatus(client, order.id) : order.status
  }
}

async function firstStatus(client, orderId) {
  for await (const { status } of client.orders.watch({ orderId })) return status
}
