import type { Services } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2/promise"
import { type Connections, openConnections } from "../connections.ts"
import { faultsInBooks } from "../shop/books.ts"
import { mutationText } from "../shop/requests.ts"
import { withDatabase } from "../shop/seed.ts"
import { openShops, type Shop } from "../shop/shops.ts"
import { ask, personOf } from "../shop/turns.ts"
import type { Contestant } from "./contest.ts"
import type { Outcome } from "./outcome.ts"

const CUSTOMERS = 2_000

/** The product itself: `orders.create` over HTTP, with its lock, fence, idempotency, ledger and event. */
export const openOrders = async (services: Services, callers: number): Promise<Contestant> => {
  const [shop] = await openShops(services, ["holdfast"], CUSTOMERS)
  const connections = await openConnections(shop!.url, callers)
  let sku = ""
  let products = 0
  let asked = 0
  return {
    restock: async (units) => {
      sku = `STRATEGY-${(products += 1)}`
      const product = { sku, name: sku, category: "strategies", priceMinor: 1, initialStock: units }
      await ask(shop!, mutationText("admin.createProduct", product, shop!.admin))
    },
    take: () => takeOne(connections, shop!, sku, (asked += 1)),
    books: () => booksOf(shop!, sku),
    faults: () => faultsInBooks(shop!),
    close: async () => {
      connections.close()
      await shop!.stop()
    }
  }
}

const takeOne = async (connections: Connections, shop: Shop, sku: string, n: number): Promise<Outcome> => {
  const lines = [{ sku, quantity: 1 }]
  const { body, status } = await connections.send(
    mutationText("orders.create", { lines }, personOf(shop, n))
  )!
  if (status === 200) return "sold"
  return body.includes("OutOfStock") ? "soldOut" : "refused"
}

const booksOf = ({ mysqlUrl }: Shop, sku: string) =>
  withDatabase(mysqlUrl, async (connection) => {
    const [rows] = await connection.query<Array<RowDataPacket>>(
      `SELECT stock, (SELECT COUNT(*) FROM order_items i WHERE i.sku = p.sku) AS sales
       FROM products p WHERE sku = ?`,
      [sku]
    )
    return { left: Number(rows[0]?.["stock"]), sales: Number(rows[0]?.["sales"]) }
  })
