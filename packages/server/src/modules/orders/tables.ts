import type { CancelReason, OrderStatus } from "@holdfast/domain"
import type { Generated } from "kysely"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    orders: OrdersTable
    order_items: OrderItemsTable
    refunds: RefundsTable
  }
}

interface OrdersTable {
  id: Buffer
  user_id: Buffer
  status: OrderStatus
  /** The amount to pay: the lines less the discount. */
  total_minor: number
  discount_minor: Generated<number>
  /** The units of all items: what an unpaid order holds back. */
  units: Generated<number>
  user_coupon_id: Buffer | null
  expires_at: Date
  created_at: CreatedAt
  cancelled_at: Date | null
  cancel_reason: CancelReason | null
}

interface OrderItemsTable {
  order_id: Buffer
  sku: string
  quantity: number
  unit_price_minor: number
}

interface RefundsTable {
  order_id: Buffer
  user_id: Buffer
  amount_minor: number
  created_at: CreatedAt
}
