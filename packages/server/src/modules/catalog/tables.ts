import type { Generated } from "kysely"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    products: ProductsTable
    stock_ledger: StockLedgerTable
  }
}

interface ProductsTable {
  sku: string
  name: string
  category: string | null
  price_minor: number
  stock: number
  created_at: CreatedAt
  /** SKU and name in the domain's search form. */
  search_text: string | null
}

interface StockLedgerTable {
  id: Generated<number>
  sku: string
  delta: number
  /** `reservation` takes units for an order, `release` gives them back; the order's status tells reserved from sold. */
  kind: "initial" | "adjustment" | "reservation" | "release"
  order_id: Buffer | null
  reason: string | null
  /** Who moved the units. NULL: a job of the shop, or unknown because the row is of version 0.1. */
  actor_id: Buffer | null
  created_at: CreatedAt
}
