import type { Services } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2/promise"
import { newId } from "../shop/people.ts"
import { insertProducts, withDatabase } from "../shop/seed.ts"
import { openShops, type Shop } from "../shop/shops.ts"
import { personOf } from "../shop/turns.ts"
import { ask, type PeerShop, type Received } from "./shop.ts"

const CUSTOMERS = 2_000

/** Holdfast with its durable defaults. It has no carts: a purchase is an order and its payment. */
export const openHoldfast = async (services: Services): Promise<PeerShop> => {
  const [shop] = (await openShops(services, ["holdfast"], CUSTOMERS)) as [Shop]
  let products = 0
  const call = (
    path: string,
    customer: number,
    body: object
  ): Promise<Received<{ readonly result?: { readonly data: { readonly id: string } } }>> =>
    ask(`${shop.url}/trpc/${path}`, {
      body,
      headers: { authorization: `Bearer ${personOf(shop, customer).token}`, "idempotency-key": newId() }
    })
  return {
    name: "Holdfast",
    version: "this",
    addProduct: async (stock) => {
      const sku = `PEER-${(products += 1)}`
      const product = { sku, name: sku, category: "peers", priceMinor: 100 }
      await withDatabase(shop.mysqlUrl, (connection) => insertProducts(connection, [product], stock))
      return sku
    },
    customer: async (sku, customer) => async () => {
      const order = await call("orders.create", customer, { lines: [{ sku, quantity: 1 }] })
      const orderId = order.body.result?.data.id
      if (orderId === undefined) return "refused"
      const payment = await call("payments.process", customer, { orderId })
      return payment.status === 200 ? "sold" : "refused"
    },
    unitsLeft: (sku) =>
      withDatabase(shop.mysqlUrl, async (connection) => {
        const [rows] = await connection.query<Array<RowDataPacket>>(
          "SELECT stock FROM products WHERE sku = ?",
          [sku]
        )
        return Number(rows[0]?.["stock"])
      }),
    pids: shop.pids,
    stop: shop.stop
  }
}
