import type { Generated } from "kysely"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    coupons: CouponsTable
    user_coupons: UserCouponsTable
    coupon_ledger: CouponLedgerTable
    coupon_tickets: CouponTicketsTable
  }
}

/** Campaigns. */
interface CouponsTable {
  id: Buffer
  name: string
  kind: "percent" | "fixed"
  /** A percentage, or minor units. */
  value: number
  minimum_order_minor: number
  quantity: number
  issued: Generated<number>
  starts_at: Date
  ends_at: Date
  valid_days: number
  paused: Generated<number>
  created_at: CreatedAt
}

interface UserCouponsTable {
  id: Buffer
  coupon_id: Buffer
  user_id: Buffer
  issued_at: Date
  expires_at: Date
  /** The order that uses the coupon; NULL while it is unused. */
  order_id: Buffer | null
}

interface CouponLedgerTable {
  id: Generated<number>
  coupon_id: Buffer
  /** The change of the campaign's stock; 0 where a coupon moves between its user and an order. */
  delta: number
  kind: "initial" | "raise" | "issue" | "use" | "return"
  user_coupon_id: Buffer | null
  order_id: Buffer | null
  created_at: CreatedAt
}

interface CouponTicketsTable {
  /** The position in the queue. */
  place: Generated<number>
  id: Buffer
  coupon_id: Buffer
  user_id: Buffer
  status: Generated<"waiting" | "issued" | "refused">
  /** The user while the ticket waits, else NULL: its unique key keeps a user from queueing twice. */
  waiting_user: Buffer | null
  /** The encoded error of a refused ticket, as JSON. */
  refusal: string | null
  requested_at: Date
  settled_at: Date | null
}
