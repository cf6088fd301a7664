import type { OrderStatus, Role } from "@holdfast/domain"
import type { ColumnType, Generated } from "kysely"

/**
 * The tables as Kysely sees them. Written by hand; a test holds it against the migrated database.
 * Ids are UUIDv7 in BINARY(16), see ids.ts; money and points are BIGINT and come back as checked safe integers.
 */
export interface DB {
  users: Users
  point_accounts: PointAccounts
  point_ledger: PointLedger
  products: Products
  stock_ledger: StockLedger
  orders: Orders
  order_items: OrderItems
  payments: Payments
  idempotency_keys: IdempotencyKeys
  outbox: Outbox
  lock_fences: LockFences
}

/** Set by the database when a row is inserted. */
type CreatedAt = ColumnType<Date, Date | undefined, never>

export interface Users {
  id: Buffer
  email: string
  password_hash: string
  role: Role
  created_at: CreatedAt
}

export interface PointAccounts {
  user_id: Buffer
  balance: number
}

export interface PointLedger {
  id: Generated<number>
  user_id: Buffer
  delta: number
  balance_after: number
  kind: "grant" | "payment"
  /** The order that was paid; NULL for a grant. */
  order_id: Buffer | null
  reason: string | null
  created_at: CreatedAt
}

export interface Products {
  sku: string
  name: string
  price_minor: number
  stock: number
  created_at: CreatedAt
}

export interface StockLedger {
  id: Generated<number>
  sku: string
  delta: number
  /** `reservation` takes units for an order; whether they are reserved or sold is the order's status. */
  kind: "initial" | "adjustment" | "reservation"
  order_id: Buffer | null
  reason: string | null
  created_at: CreatedAt
}

export interface Orders {
  id: Buffer
  user_id: Buffer
  status: OrderStatus
  total_minor: number
  expires_at: Date
  created_at: CreatedAt
}

export interface OrderItems {
  order_id: Buffer
  sku: string
  quantity: number
  unit_price_minor: number
}

export interface Payments {
  id: Buffer
  order_id: Buffer
  user_id: Buffer
  amount_minor: number
  created_at: CreatedAt
}

export interface IdempotencyKeys {
  user_id: Buffer
  procedure_path: string
  idempotency_key: string
  /** HMAC-SHA-256 of the input. */
  fingerprint: Buffer
  /** The encoded answer or the encoded error, as JSON. */
  answer: string
  created_at: CreatedAt
}

export interface Outbox {
  id: Generated<number>
  topic: string
  /** JSON. */
  payload: string
  created_at: CreatedAt
  published_at: Date | null
}

export interface LockFences {
  lock_key: string
  token: number
}
