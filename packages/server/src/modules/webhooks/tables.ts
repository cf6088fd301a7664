import type { ColumnType, Generated } from "kysely"
import type { CreatedAt } from "../../platform/db/tables.ts"

declare module "../../platform/db/tables.ts" {
  interface DB {
    webhook_deliveries: WebhookDeliveriesTable
  }
}

interface WebhookDeliveriesTable {
  id: Generated<number>
  event_id: number
  topic: string
  body: string
  /** That of the event. */
  traceparent: ColumnType<string | null, string | null | undefined, never>
  status: Generated<"pending" | "delivered" | "dead">
  attempts: Generated<number>
  next_attempt_at: ColumnType<Date, Date | undefined, Date>
  last_attempt_at: Date | null
  last_error: string | null
  created_at: CreatedAt
}
