import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    payments: PaymentsTable
  }
}

interface PaymentsTable {
  id: Buffer
  order_id: Buffer
  user_id: Buffer
  amount_minor: number
  created_at: CreatedAt
}
