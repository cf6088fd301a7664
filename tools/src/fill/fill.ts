import { createConnection, type Connection } from "mysql2/promise"
import { withShopDatabase } from "../shop/shop-database.ts"
import { assortmentFor, type Assortment, eventsOf, type FilledOrder, idAt, orderOf } from "./rows.ts"

interface FillOptions {
  /** The database, as a URL; absent: that of `HOLDFAST_MYSQL_URL`, else that of `npm start`. */
  readonly database: string | undefined
  readonly orders: number
}

/** Orders that one transaction inserts. */
const CHUNK = 5_000

/** The orders are spread over so many days; events older than the retention are gone already. */
const DAYS = 30
const KEPT_DAYS = 7
const DAY_MS = 86_400_000

const GRANT = 1_000_000_000
const STOCK = 500_000_000

/** Fills a shop with orders of the last 30 days, whose books are right. */
export const run = ({ database, orders }: FillOptions): Promise<number> =>
  withShopDatabase(database, async (mysqlUrl) => {
    const sql = await createConnection({ uri: mysqlUrl, timezone: "Z", multipleStatements: false })
    try {
      await fill(sql, orders, (done) => console.error(`fill: ${done} of ${orders} orders`))
    } finally {
      await sql.end()
    }
    return 0
  })

const fill = async (sql: Connection, orders: number, onProgress: (done: number) => void): Promise<void> => {
  const endMs = Date.now() - 3_600_000
  const startMs = endMs - DAYS * DAY_MS
  const keptSince = new Date(endMs - KEPT_DAYS * DAY_MS)
  await sql.query("SET SESSION time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 0")
  await stage(sql)
  const assortment = assortmentFor(orders, startMs)
  await inTransaction(sql, () => insertAssortment(sql, assortment, new Date(startMs)))
  for (let first = 0; first < orders; first += CHUNK) {
    const count = Math.min(CHUNK, orders - first)
    const chunk = Array.from({ length: count }, (_, index) => {
      const n = first + index
      return orderOf(assortment, n, new Date(Math.floor(startMs + ((endMs - startMs) * n) / orders)))
    })
    await inTransaction(sql, () => insertChunk(sql, chunk, keptSince))
    if ((first / CHUNK) % 10 === 9 || first + count === orders) onProgress(first + count)
  }
  await sql.query("UPDATE installation SET outbox_trimmed_before = GREATEST(outbox_trimmed_before, ?)", [
    keptSince
  ])
}

const inTransaction = async (sql: Connection, body: () => Promise<void>): Promise<void> => {
  await sql.beginTransaction()
  try {
    await body()
    await sql.commit()
  } catch (error) {
    await sql.rollback()
    throw error
  }
}

/** A chunk comes into temporary tables, from which one statement a table takes it. */
const stage = async (sql: Connection): Promise<void> => {
  for (const [name, columns] of [
    [
      "fill_orders",
      "n INT PRIMARY KEY, id BINARY(16), payment_id BINARY(16), user_id BINARY(16), fate VARCHAR(8), at DATETIME(3), total BIGINT"
    ],
    ["fill_items", "n INT, sku VARCHAR(64), quantity INT, price BIGINT, PRIMARY KEY (n, sku)"],
    [
      "fill_moves",
      "place BIGINT PRIMARY KEY, user_id BINARY(16), delta BIGINT, kind VARCHAR(16), order_id BINARY(16), at DATETIME(3)"
    ]
  ] as const)
    await sql.query(`CREATE TEMPORARY TABLE ${name} (${columns}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
}

const ROWS = 5_000

const insertRows = async (sql: Connection, into: string, rows: ReadonlyArray<ReadonlyArray<unknown>>) => {
  for (let first = 0; first < rows.length; first += ROWS)
    await sql.query(`INSERT INTO ${into} VALUES ?`, [rows.slice(first, first + ROWS)])
}

const bytes = (hex: string): Buffer => Buffer.from(hex, "hex")

const insertAssortment = async (sql: Connection, { products, users }: Assortment, at: Date) => {
  const accounts = users.map((hex) => ({ id: bytes(hex), email: `${hex}@fill.example` }))
  await insertRows(
    sql,
    "users (id, email, password_hash, role, created_at)",
    accounts.map(({ email, id }) => [id, email, "none: nobody logs in", "user", at])
  )
  await insertRows(
    sql,
    "point_accounts (user_id, balance)",
    accounts.map(({ id }) => [id, GRANT])
  )
  await insertRows(
    sql,
    "point_ledger (user_id, delta, balance_after, kind, reason, created_at)",
    accounts.map(({ id }) => [id, GRANT, GRANT, "grant", "filled", at])
  )
  await insertRows(
    sql,
    "products (sku, name, price_minor, stock, created_at, search_text)",
    products.map(({ name, price, sku }) => [sku, name, price, STOCK, at, `${sku} ${name}`.toLowerCase()])
  )
  await insertRows(
    sql,
    "stock_ledger (sku, delta, kind, created_at)",
    products.map(({ sku }) => [sku, STOCK, "initial", at])
  )
}

const insertChunk = async (sql: Connection, orders: ReadonlyArray<FilledOrder>, keptSince: Date) => {
  for (const table of ["fill_orders", "fill_items", "fill_moves"]) await sql.query(`DELETE FROM ${table}`)
  await insertRows(
    sql,
    "fill_orders",
    orders.map(({ at, fate, id, n, paymentId, total, userId }) => [
      n,
      bytes(id),
      bytes(paymentId),
      bytes(userId),
      fate,
      at,
      total
    ])
  )
  await insertRows(
    sql,
    "fill_items",
    orders.flatMap(({ items, n }) => items.map(({ price, quantity, sku }) => [n, sku, quantity, price]))
  )
  for (const statement of STATEMENTS) await sql.query(statement)
  await insertEvents(
    sql,
    orders.filter(({ at }) => at > keptSince)
  )
}

/** A payment follows its order after a minute, a cancellation after five, and an order expires after ten. */
const STATEMENTS = [
  `INSERT INTO orders (id, user_id, status, total_minor, units, expires_at, created_at, cancelled_at, cancel_reason)
    SELECT f.id, f.user_id, IF(f.fate = 'paid', 'PAID', 'CANCELLED'), f.total, SUM(i.quantity), f.at + INTERVAL 10 MINUTE, f.at,
      CASE f.fate WHEN 'expired' THEN f.at + INTERVAL 10 MINUTE WHEN 'refunded' THEN f.at + INTERVAL 5 MINUTE END,
      CASE f.fate WHEN 'expired' THEN 'expired' WHEN 'refunded' THEN 'customer' END
    FROM fill_orders f JOIN fill_items i ON i.n = f.n GROUP BY f.n`,
  `INSERT INTO order_items (order_id, sku, quantity, unit_price_minor)
    SELECT f.id, i.sku, i.quantity, i.price FROM fill_orders f JOIN fill_items i ON i.n = f.n`,
  `INSERT INTO stock_ledger (sku, delta, kind, order_id, created_at)
    SELECT i.sku, -i.quantity, 'reservation', f.id, f.at FROM fill_orders f JOIN fill_items i ON i.n = f.n ORDER BY f.n`,
  `INSERT INTO stock_ledger (sku, delta, kind, order_id, created_at)
    SELECT i.sku, i.quantity, 'release', f.id, f.at + INTERVAL 10 MINUTE
    FROM fill_orders f JOIN fill_items i ON i.n = f.n WHERE f.fate <> 'paid' ORDER BY f.n`,
  `UPDATE products p JOIN (SELECT i.sku, SUM(i.quantity) AS sold FROM fill_orders f JOIN fill_items i ON i.n = f.n
      WHERE f.fate = 'paid' GROUP BY i.sku) s ON s.sku = p.sku SET p.stock = p.stock - s.sold`,
  `INSERT INTO payments (id, order_id, user_id, amount_minor, created_at)
    SELECT payment_id, id, user_id, total, at + INTERVAL 1 MINUTE FROM fill_orders WHERE fate <> 'expired'`,
  `INSERT INTO fill_moves SELECT 2 * n, user_id, -total, 'payment', id, at + INTERVAL 1 MINUTE FROM fill_orders WHERE fate <> 'expired'`,
  `INSERT INTO fill_moves SELECT 2 * n + 1, user_id, total, 'refund', id, at + INTERVAL 5 MINUTE FROM fill_orders WHERE fate = 'refunded'`,
  `INSERT INTO point_ledger (user_id, delta, balance_after, kind, order_id, created_at)
    SELECT m.user_id, m.delta, a.balance + SUM(m.delta) OVER (PARTITION BY m.user_id ORDER BY m.place), m.kind, m.order_id, m.at
    FROM fill_moves m JOIN point_accounts a ON a.user_id = m.user_id ORDER BY m.place`,
  `UPDATE point_accounts a JOIN (SELECT user_id, SUM(delta) AS delta FROM fill_moves GROUP BY user_id) m ON m.user_id = a.user_id
    SET a.balance = a.balance + m.delta, a.spent = a.spent - m.delta`,
  `INSERT INTO refunds (order_id, user_id, amount_minor, created_at)
    SELECT id, user_id, total, at + INTERVAL 5 MINUTE FROM fill_orders WHERE fate = 'refunded'`
]

/** Published and handled: a consumer that begins later finds them in the outbox like any other. */
const insertEvents = async (sql: Connection, orders: ReadonlyArray<FilledOrder>) => {
  if (orders.length === 0) return
  const [rows] = await sql.query("SELECT COALESCE(MAX(sequence), 0) AS last FROM outbox FOR UPDATE")
  let sequence = (rows as unknown as ReadonlyArray<{ readonly last: number }>)[0]!.last
  const events = orders.flatMap((order) =>
    eventsOf(order).map(([topic, payload]) => [
      topic,
      payload,
      order.at,
      order.at,
      bytes(idAt(order.at.getTime())),
      ++sequence
    ])
  )
  await insertRows(sql, "outbox (topic, payload, created_at, published_at, origin, sequence)", events)
  await sql.query(
    `INSERT INTO worker_turns (worker, last_round_at, state) VALUES ? ON DUPLICATE KEY UPDATE state = VALUES(state)`,
    [["ranking", "cache"].map((group) => [`events for ${group}`, new Date(), String(sequence)])]
  )
}
