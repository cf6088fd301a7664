import { type Kysely, sql } from "kysely"
import { uuidv7obj } from "uuidv7"
import { addColumn, addKey, replaceCheck } from "./changes.ts"

/** Cancellation, refunds, webhook deliveries, and the leader leases of jobs. */
const tables = [
  `CREATE TABLE IF NOT EXISTS refunds (
    order_id BINARY(16) NOT NULL PRIMARY KEY,
    user_id BINARY(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    CONSTRAINT refunds_of_payment FOREIGN KEY (order_id) REFERENCES payments (order_id),
    CONSTRAINT refunds_amount CHECK (amount_minor BETWEEN 0 AND 9007199254740991)
  )`,
  `CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    event_id BIGINT NOT NULL,
    topic VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body LONGTEXT NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',
    attempts INT NOT NULL DEFAULT 0,
    next_attempt_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    last_attempt_at DATETIME(3) NULL,
    last_error VARCHAR(200) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    UNIQUE KEY webhook_deliveries_event (event_id),
    KEY webhook_deliveries_due (status, next_attempt_at),
    CONSTRAINT webhook_deliveries_status CHECK (status IN ('pending', 'delivered', 'dead'))
  )`,
  `CREATE TABLE IF NOT EXISTS worker_turns (
    worker VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    last_round_at DATETIME(3) NULL,
    state VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NULL
  )`,
  `CREATE TABLE IF NOT EXISTS installation (
    only_row TINYINT NOT NULL PRIMARY KEY,
    id BINARY(16) NOT NULL,
    outbox_trimmed_before DATETIME(3) NOT NULL,
    CONSTRAINT installation_only_row CHECK (only_row = 1)
  )`
]

export const lifecycle = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    for (const table of tables) {
      await sql.raw(`${table} ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`).execute(db)
    }
    await sql`insert ignore into installation (only_row, id, outbox_trimmed_before)
      values (1, ${Buffer.from(uuidv7obj().bytes)}, '1970-01-01')`.execute(db)
    await addColumn(db, "orders", "cancelled_at", "DATETIME(3) NULL")
    await addColumn(db, "orders", "cancel_reason", "VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL")
    await addColumn(db, "products", "category", "VARCHAR(64) NULL")
    await addKey(db, "products", "products_category", "KEY products_category (category, sku)")
    await addColumn(db, "outbox", "stream_id", "VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NULL")
    await addKey(db, "payments", "payments_age", "KEY payments_age (created_at)")
    await changeLedgers(db)
  }
}

/**
 * The unique keys are the last line of "once": an order reserves and gives back each product once, and is paid and
 * refunded once. Movements without an order have NULL there, which is never equal to another NULL.
 */
// oxlint-disable-next-line typescript/no-explicit-any
const changeLedgers = async (db: Kysely<any>): Promise<void> => {
  const stockKinds = "kind IN ('initial', 'adjustment', 'reservation', 'release')"
  const stockOrder = "(kind IN ('reservation', 'release')) = (order_id IS NOT NULL)"
  await replaceCheck(db, "stock_ledger", "stock_ledger_kind", "stock_ledger_kinds", stockKinds)
  await replaceCheck(db, "stock_ledger", "stock_ledger_reservation", "stock_ledger_of_order", stockOrder)
  const stockOnce = "UNIQUE KEY stock_ledger_once (order_id, kind, sku)"
  await addKey(db, "stock_ledger", "stock_ledger_once", stockOnce)
  const pointKinds = "kind IN ('grant', 'charge', 'payment', 'refund')"
  const pointDelta = "delta <> 0 OR kind IN ('payment', 'refund')"
  const pointOrder = "(kind IN ('payment', 'refund')) = (order_id IS NOT NULL)"
  await replaceCheck(db, "point_ledger", "point_ledger_kind", "point_ledger_kinds", pointKinds)
  await replaceCheck(db, "point_ledger", "point_ledger_delta", "point_ledger_deltas", pointDelta)
  await replaceCheck(db, "point_ledger", "point_ledger_order", "point_ledger_of_order", pointOrder)
  await addKey(db, "point_ledger", "point_ledger_once", "UNIQUE KEY point_ledger_once (order_id, kind)")
  const charges = "KEY point_ledger_charges (user_id, kind, created_at)"
  await addKey(db, "point_ledger", "point_ledger_charges", charges)
}
