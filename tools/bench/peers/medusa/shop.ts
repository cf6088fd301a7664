import { randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import { startPeer } from "../../shop/peer.ts"
import { installed } from "../installed.ts"
import type { PeerShop } from "../shop.ts"
import { type Ask, askAs, Refused } from "./ask.ts"
import { freePort, type Postgres, startPostgres } from "./postgres.ts"
import { openForSale, type Sale } from "./merchant.ts"

const VERSION = "2.21.2"
const program = fileURLToPath(new URL("./server.mjs", import.meta.url))

/** Medusa on a PostgreSQL server of its own, the only database that it takes; `undefined` where none is installed. */
export const openMedusa = async (): Promise<PeerShop | undefined> => {
  const postgres = await startPostgres()
  if (postgres === undefined) return undefined
  try {
    return await openOn(postgres)
  } catch (cause) {
    await postgres.stop()
    throw cause
  }
}

const openOn = async (postgres: Postgres): Promise<PeerShop> => {
  const directory = await installed("medusa", {
    "@medusajs/cli": VERSION,
    "@medusajs/framework": VERSION,
    "@medusajs/medusa": VERSION,
    "@swc/core": "1.16.22"
  })
  const account = { email: "admin@bench.test", password: randomBytes(24).toString("hex") }
  const server = await startPeer(program, undefined, {
    MEDUSA_DISABLE_TELEMETRY: "true",
    NODE_ENV: "production",
    PEER_DIRECTORY: directory,
    PEER_EMAIL: account.email,
    PEER_PASSWORD: account.password,
    PEER_PORT: `${await freePort()}`,
    PEER_POSTGRES_URL: postgres.url
  })
  const { token } = await askAs(server.url)<{ readonly token: string }>("/auth/user/emailpass", account)
  const merchant = askAs(server.url, { authorization: `Bearer ${token}` })
  const sale = await openForSale(merchant)
  const shop = askAs(server.url, { "x-publishable-api-key": sale.apiKey })
  return {
    name: "Medusa",
    version: VERSION,
    addProduct: sale.addProduct,
    customer: async (variantId, customer) => {
      const cartId = await fillCart(shop, sale, { variantId, customer })
      return () => complete(shop, cartId)
    },
    unitsLeft: sale.unitsLeft,
    pids: () => ({ server: [server.pid], sql: postgres.pids(), redis: [] }),
    stop: async () => {
      await server.stop()
      await postgres.stop()
    }
  }
}

/** A customer's cart with a unit, address, shipping and payment: nothing but the order is missing. */
const fillCart = async (
  shop: Ask,
  { regionId, shippingOptionId }: Sale,
  { customer, variantId }: { readonly variantId: string; readonly customer: number }
): Promise<string> => {
  const { cart } = await shop<{ readonly cart: { readonly id: string } }>("/store/carts", {
    region_id: regionId,
    email: `customer-${customer}-${randomBytes(4).toString("hex")}@bench.test`,
    items: [{ variant_id: variantId, quantity: 1 }],
    shipping_address: {
      first_name: "A",
      last_name: "B",
      address_1: "1 Road",
      city: "Town",
      postal_code: "1",
      country_code: "gb"
    }
  })
  await shop(`/store/carts/${cart.id}/shipping-methods`, { option_id: shippingOptionId })
  const { payment_collection: payment } = await shop<{
    readonly payment_collection: { readonly id: string }
  }>("/store/payment-collections", { cart_id: cart.id })
  await shop(`/store/payment-collections/${payment.id}/payment-sessions`, {
    provider_id: "pp_system_default"
  })
  return cart.id
}

/** Orders and pays. */
const complete = async (shop: Ask, cartId: string): Promise<"sold" | "refused"> => {
  try {
    const { type } = await shop<{ readonly type: "order" | "cart" }>(`/store/carts/${cartId}/complete`, {})
    return type === "order" ? "sold" : "refused"
  } catch (cause) {
    // An error of the server is no refusal, and is counted as a failure.
    if (cause instanceof Refused && cause.problem.type === "not_allowed") return "refused"
    throw cause
  }
}
