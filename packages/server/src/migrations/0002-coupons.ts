import { type Kysely, sql } from "kysely"
import { addColumn } from "./changes.ts"

/**
 * A campaign is one row with its own stock, and its CHECK is the last guard of "never one too many". Tickets have no
 * foreign key to it: an INSERT must not wait for the row that the issuing transaction holds.
 */
const tables = [
  `CREATE TABLE IF NOT EXISTS coupons (
    id BINARY(16) NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    value BIGINT NOT NULL,
    minimum_order_minor BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    issued BIGINT NOT NULL DEFAULT 0,
    starts_at DATETIME(3) NOT NULL,
    ends_at DATETIME(3) NOT NULL,
    valid_days INT NOT NULL,
    paused TINYINT NOT NULL DEFAULT 0,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY coupons_end (ends_at),
    CONSTRAINT coupons_value CHECK ((kind = 'percent' AND value BETWEEN 1 AND 50)
      OR (kind = 'fixed' AND value BETWEEN 1 AND 9007199254740991)),
    CONSTRAINT coupons_minimum CHECK (minimum_order_minor BETWEEN 0 AND 9007199254740991),
    CONSTRAINT coupons_quantity CHECK (quantity BETWEEN 1 AND 1000000000),
    CONSTRAINT coupons_issued CHECK (issued BETWEEN 0 AND quantity),
    CONSTRAINT coupons_window CHECK (starts_at < ends_at),
    CONSTRAINT coupons_days CHECK (valid_days BETWEEN 1 AND 3650)
  )`,
  `CREATE TABLE IF NOT EXISTS user_coupons (
    id BINARY(16) NOT NULL PRIMARY KEY,
    coupon_id BINARY(16) NOT NULL,
    user_id BINARY(16) NOT NULL,
    issued_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    order_id BINARY(16) NULL,
    UNIQUE KEY user_coupons_once (coupon_id, user_id),
    UNIQUE KEY user_coupons_order (order_id),
    KEY user_coupons_user (user_id, id),
    CONSTRAINT user_coupons_of_coupon FOREIGN KEY (coupon_id) REFERENCES coupons (id),
    CONSTRAINT user_coupons_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT user_coupons_used_for FOREIGN KEY (order_id) REFERENCES orders (id)
  )`,
  `CREATE TABLE IF NOT EXISTS coupon_ledger (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    coupon_id BINARY(16) NOT NULL,
    delta BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_coupon_id BINARY(16) NULL,
    order_id BINARY(16) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY coupon_ledger_coupon (coupon_id, id),
    UNIQUE KEY coupon_ledger_once (user_coupon_id, order_id, kind),
    CONSTRAINT coupon_ledger_kind CHECK (
      (kind IN ('initial', 'raise') AND delta > 0 AND user_coupon_id IS NULL AND order_id IS NULL)
      OR (kind = 'issue' AND delta = -1 AND user_coupon_id IS NOT NULL AND order_id IS NULL)
      OR (kind IN ('use', 'return') AND delta = 0 AND user_coupon_id IS NOT NULL AND order_id IS NOT NULL))
  )`,
  `CREATE TABLE IF NOT EXISTS coupon_tickets (
    place BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id BINARY(16) NOT NULL,
    coupon_id BINARY(16) NOT NULL,
    user_id BINARY(16) NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'waiting',
    waiting_user BINARY(16) NULL,
    refusal LONGTEXT NULL,
    requested_at DATETIME(3) NOT NULL,
    settled_at DATETIME(3) NULL,
    UNIQUE KEY coupon_tickets_id (id),
    UNIQUE KEY coupon_tickets_waiting (coupon_id, waiting_user),
    KEY coupon_tickets_line (status, coupon_id, place),
    CONSTRAINT coupon_tickets_status CHECK (status IN ('waiting', 'issued', 'refused')),
    CONSTRAINT coupon_tickets_waits CHECK ((status = 'waiting') = (waiting_user IS NOT NULL)),
    CONSTRAINT coupon_tickets_settled CHECK ((status = 'waiting') = (settled_at IS NULL)),
    CONSTRAINT coupon_tickets_refusal CHECK ((status = 'refused') = (refusal IS NOT NULL))
  )`
]

export const coupons = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    for (const table of tables) {
      await sql.raw(`${table} ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`).execute(db)
    }
    await addColumn(db, "orders", "user_coupon_id", "BINARY(16) NULL")
    // "At most half of the goods" and "at most what is left to pay" are the same sentence.
    await addColumn(
      db,
      "orders",
      "discount_minor",
      `BIGINT NOT NULL DEFAULT 0, ADD CONSTRAINT orders_discount CHECK (discount_minor BETWEEN 0 AND total_minor
        AND (discount_minor > 0) = (user_coupon_id IS NOT NULL))`
    )
  }
}
