import { type Kysely, sql } from "kysely"

/**
 * Every statement is repeatable: DDL commits by itself, so a process that dies in the middle leaves some tables behind,
 * and the next start continues. The CHECKs are the last guard behind every other one.
 */
const statements = [
  `CREATE TABLE IF NOT EXISTS users (
    id BINARY(16) NOT NULL PRIMARY KEY,
    email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    UNIQUE KEY users_email (email),
    CONSTRAINT users_role CHECK (role IN ('user', 'admin'))
  )`,
  `CREATE TABLE IF NOT EXISTS point_accounts (
    user_id BINARY(16) NOT NULL PRIMARY KEY,
    balance BIGINT NOT NULL,
    CONSTRAINT point_accounts_user FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT point_accounts_balance CHECK (balance BETWEEN 0 AND 9007199254740991)
  )`,
  `CREATE TABLE IF NOT EXISTS point_ledger (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BINARY(16) NOT NULL,
    delta BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_id BINARY(16) NULL,
    reason VARCHAR(200) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY point_ledger_user (user_id, id),
    CONSTRAINT point_ledger_kind CHECK (kind IN ('grant', 'payment')),
    CONSTRAINT point_ledger_delta CHECK (delta <> 0 OR kind = 'payment')
  )`,
  `CREATE TABLE IF NOT EXISTS products (
    sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    price_minor BIGINT NOT NULL,
    stock BIGINT NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    CONSTRAINT products_price CHECK (price_minor BETWEEN 0 AND 9007199254740991),
    CONSTRAINT products_stock CHECK (stock BETWEEN 0 AND 1000000000)
  )`,
  `CREATE TABLE IF NOT EXISTS orders (
    id BINARY(16) NOT NULL PRIMARY KEY,
    user_id BINARY(16) NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    total_minor BIGINT NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY orders_user (user_id, id),
    KEY orders_expiry (status, expires_at),
    CONSTRAINT orders_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT orders_status CHECK (status IN ('PENDING', 'PAID', 'SHIPPED', 'DELIVERED', 'COMPLETED', 'CANCELLED')),
    CONSTRAINT orders_total CHECK (total_minor BETWEEN 0 AND 9007199254740991)
  )`,
  `CREATE TABLE IF NOT EXISTS order_items (
    order_id BINARY(16) NOT NULL,
    sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    quantity BIGINT NOT NULL,
    unit_price_minor BIGINT NOT NULL,
    PRIMARY KEY (order_id, sku),
    CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT order_items_quantity CHECK (quantity BETWEEN 1 AND 1000000000),
    CONSTRAINT order_items_price CHECK (unit_price_minor >= 0)
  )`,
  `CREATE TABLE IF NOT EXISTS stock_ledger (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sku VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    delta BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_id BINARY(16) NULL,
    reason VARCHAR(200) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY stock_ledger_sku (sku, id),
    KEY stock_ledger_order (order_id),
    CONSTRAINT stock_ledger_kind CHECK (kind IN ('initial', 'adjustment', 'reservation')),
    CONSTRAINT stock_ledger_reservation CHECK ((kind = 'reservation') = (order_id IS NOT NULL))
  )`,
  `CREATE TABLE IF NOT EXISTS payments (
    id BINARY(16) NOT NULL PRIMARY KEY,
    order_id BINARY(16) NOT NULL,
    user_id BINARY(16) NOT NULL,
    amount_minor BIGINT NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    UNIQUE KEY payments_order (order_id),
    CONSTRAINT payments_of_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT payments_amount CHECK (amount_minor BETWEEN 0 AND 9007199254740991)
  )`,
  `CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id BINARY(16) NOT NULL,
    procedure_path VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fingerprint BINARY(32) NOT NULL,
    answer LONGTEXT NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (user_id, procedure_path, idempotency_key),
    KEY idempotency_keys_age (created_at)
  )`,
  `CREATE TABLE IF NOT EXISTS outbox (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    topic VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload LONGTEXT NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    published_at DATETIME(3) NULL,
    KEY outbox_unpublished (published_at, id)
  )`,
  `CREATE TABLE IF NOT EXISTS lock_fences (
    lock_key VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL
  )`
]

export const firstTables = {
  // oxlint-disable-next-line typescript/no-explicit-any -- a migration knows no tables yet
  up: async (db: Kysely<any>): Promise<void> => {
    for (const statement of statements) {
      await sql
        .raw(`${statement} ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`)
        .execute(db)
    }
  }
}
