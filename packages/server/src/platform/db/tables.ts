import type { CancelReason, OrderStatus, PointMovementKind, Role } from "@holdfast/domain"
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
  coupons: Coupons
  user_coupons: UserCoupons
  coupon_ledger: CouponLedger
  coupon_tickets: CouponTickets
  orders: Orders
  order_items: OrderItems
  payments: Payments
  idempotency_keys: IdempotencyKeys
  outbox: Outbox
  lock_fences: LockFences
  refunds: Refunds
  webhook_deliveries: WebhookDeliveries
  worker_turns: WorkerTurns
  installation: Installation
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
  kind: PointMovementKind
  /** The order that was paid or refunded; NULL for a grant and a charge. */
  order_id: Buffer | null
  reason: string | null
  created_at: CreatedAt
}

export interface Products {
  sku: string
  name: string
  category: string | null
  price_minor: number
  stock: number
  created_at: CreatedAt
}

export interface StockLedger {
  id: Generated<number>
  sku: string
  delta: number
  /** `reservation` takes units for an order, `release` gives them back; in between, its status says reserved or sold. */
  kind: "initial" | "adjustment" | "reservation" | "release"
  order_id: Buffer | null
  reason: string | null
  created_at: CreatedAt
}

/** Campaigns. */
export interface Coupons {
  id: Buffer
  name: string
  kind: "percent" | "fixed"
  /** The percentage, or minor units. */
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

export interface UserCoupons {
  id: Buffer
  coupon_id: Buffer
  user_id: Buffer
  issued_at: Date
  expires_at: Date
  /** The order that it is used for; NULL while it is unused. */
  order_id: Buffer | null
}

export interface CouponLedger {
  id: Generated<number>
  coupon_id: Buffer
  /** What the campaign's stock gains; 0 where a coupon moves between its user and an order. */
  delta: number
  kind: "initial" | "raise" | "issue" | "use" | "return"
  user_coupon_id: Buffer | null
  order_id: Buffer | null
  created_at: CreatedAt
}

export interface CouponTickets {
  /** The place in the line. */
  place: Generated<number>
  id: Buffer
  coupon_id: Buffer
  user_id: Buffer
  status: Generated<"waiting" | "issued" | "refused">
  /** The user while the ticket waits, so that nobody has two places in one line; NULL afterwards. */
  waiting_user: Buffer | null
  /** The encoded error of a refused ticket, as JSON. */
  refusal: string | null
  requested_at: Date
  settled_at: Date | null
}

export interface Orders {
  id: Buffer
  user_id: Buffer
  status: OrderStatus
  /** What is to be paid: the lines less the discount. */
  total_minor: number
  discount_minor: Generated<number>
  user_coupon_id: Buffer | null
  expires_at: Date
  created_at: CreatedAt
  cancelled_at: Date | null
  cancel_reason: CancelReason | null
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
  /** The entry of the stream that the event became. */
  stream_id: string | null
}

export interface LockFences {
  lock_key: string
  token: number
}

export interface Refunds {
  order_id: Buffer
  user_id: Buffer
  amount_minor: number
  created_at: CreatedAt
}

export interface WebhookDeliveries {
  id: Generated<number>
  event_id: number
  topic: string
  body: string
  status: Generated<"pending" | "delivered" | "dead">
  attempts: Generated<number>
  next_attempt_at: ColumnType<Date, Date | undefined, Date>
  last_attempt_at: Date | null
  last_error: string | null
  created_at: CreatedAt
}

/** Whose turn a worker's round is: the row is locked by the process that does it. */
export interface WorkerTurns {
  worker: string
  last_round_at: Date | null
  /** What the worker has to remember from round to round. */
  state: string | null
}

export interface Installation {
  only_row: number
  /** Names this database in Redis, so that two of them may share one. */
  id: Buffer
  /** Older events than this may have been deleted. */
  outbox_trimmed_before: Date
}
