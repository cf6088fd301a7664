import type { PointMovementKind } from "@holdfast/domain"
import type { Generated } from "kysely"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    point_accounts: PointAccountsTable
    point_ledger: PointLedgerTable
  }
}

interface PointAccountsTable {
  user_id: Buffer
  balance: number
  /** What the account has paid and not got back: the sum of its payments and refunds in the ledger, negated. */
  spent: Generated<number>
}

interface PointLedgerTable {
  id: Generated<number>
  user_id: Buffer
  delta: number
  balance_after: number
  kind: PointMovementKind
  /** The order that was paid or refunded; NULL for grants and top-ups. */
  order_id: Buffer | null
  reason: string | null
  /** Who moved the points. NULL: a job of the shop, or unknown because the row is of version 0.1. */
  actor_id: Buffer | null
  created_at: CreatedAt
}
