import {
  type Client,
  createClient,
  type Credentials,
  EmailTaken,
  SkuTaken,
  Unauthenticated
} from "@holdfast/client-sdk"

/** The products of a shop for development. */
const PRODUCTS = [
  { sku: "TEA-GREEN", name: "Green tea, 100 g", priceMinor: 750, initialStock: 500 },
  { sku: "TEA-BLACK", name: "Black tea, 100 g", priceMinor: 650, initialStock: 500 },
  { sku: "MUG-BLUE", name: "Blue mug", priceMinor: 1200, initialStock: 100 },
  { sku: "KETTLE", name: "Kettle, 1.5 l", priceMinor: 4900, initialStock: 25 },
  { sku: "LANTERN", name: "Brass lantern, the last one", priceMinor: 8900, initialStock: 1 }
] as const

const POINTS = 1_000_000

/**
 * Fills a shop with products and one user who can pay. The calls have fixed idempotency keys and accept what exists
 * already, so that a second start changes nothing.
 * @returns the administrator's access token; `undefined` when the shop has an administrator with another password
 */
export const seedShop = async (
  url: string,
  admin: Credentials,
  user: Credentials
): Promise<string | undefined> => {
  const client = createClient({ url, auth: admin })
  try {
    for (const product of PRODUCTS) await unlessTaken(SkuTaken, createProduct(client, product))
    await unlessTaken(EmailTaken, registerWithPoints(client, user))
    const { accessToken } = await client.auth.login(admin)
    return accessToken
  } catch (error) {
    if (error instanceof Unauthenticated) return undefined
    throw error
  }
}

const createProduct = (client: Client, product: (typeof PRODUCTS)[number]) =>
  client.admin.createProduct(product, { idempotencyKey: `seed:product:${product.sku}` })

const registerWithPoints = async (client: Client, user: Credentials): Promise<void> => {
  const { id: userId } = await client.auth.register(user, { idempotencyKey: `seed:user:${user.email}` })
  const options = { idempotencyKey: `seed:points:${user.email}` }
  await client.admin.grantPoints({ userId, amount: POINTS, reason: "welcome" }, options)
}

const unlessTaken = async (
  taken: abstract new (...args: never) => Error,
  call: Promise<unknown>
): Promise<void> => {
  try {
    await call
  } catch (error) {
    if (!(error instanceof taken)) throw error
  }
}
