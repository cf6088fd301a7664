import { searchForm } from "@holdfast/domain"
import { type Connection, createConnection } from "mysql2/promise"
import { INITIAL_BALANCE, INITIAL_STOCK, type Product, products } from "./goods.ts"
import { bytesOf, type Person } from "./people.ts"

const ROWS_AT_ONCE = 1_000

/** Runs `use` on a connection to the database. */
export const withDatabase = async <A>(
  uri: string,
  use: (connection: Connection) => Promise<A>
): Promise<A> => {
  const connection = await createConnection({ uri, timezone: "Z" })
  try {
    return await use(connection)
  } finally {
    await connection.end()
  }
}

type Rows = ReadonlyArray<ReadonlyArray<unknown>>

const insert = async (connection: Connection, into: string, rows: Rows): Promise<void> => {
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE)
    await connection.query(`INSERT INTO ${into} VALUES ?`, [rows.slice(start, start + ROWS_AT_ONCE)])
}

/** Inserts products of Holdfast with their stock and its ledger. */
export const insertProducts = async (
  connection: Connection,
  products: ReadonlyArray<Product>,
  stock = INITIAL_STOCK
): Promise<void> => {
  await insert(
    connection,
    "products (sku, name, category, price_minor, stock, search_text)",
    products.map(({ category, name, priceMinor, sku }) => [
      sku,
      name,
      category,
      priceMinor,
      stock,
      searchForm(`${sku} ${name}`)
    ])
  )
  await insert(
    connection,
    "stock_ledger (sku, delta, kind)",
    products.map(({ sku }) => [sku, stock, "initial"])
  )
}

/** Fills Holdfast's tables as its own commands would, in bulk: signing up 20,000 users by calls takes minutes. */
export const seedHoldfast = (url: string, people: ReadonlyArray<Person>, admin: Person): Promise<void> =>
  withDatabase(url, async (connection) => {
    const account = ({ id }: Person, role: string) => [bytesOf(id), `${id}@bench.test`, "-", role]
    const users = [...people.map((person) => account(person, "user")), account(admin, "admin")]
    const everybody = [...people, admin].map(({ id }) => bytesOf(id))
    await insert(connection, "users (id, email, password_hash, role)", users)
    const [now, tomorrow] = [new Date(), new Date(Date.now() + 86_400_000)]
    await insert(
      connection,
      "user_sessions (id, user_id, created_at, last_used_at, expires_at, address, user_agent)",
      everybody.map((id) => [id, id, now, now, tomorrow, "127.0.0.1", "bench"])
    )
    await insert(
      connection,
      "point_accounts (user_id, balance)",
      everybody.map((id) => [id, INITIAL_BALANCE])
    )
    await insert(
      connection,
      "point_ledger (user_id, delta, balance_after, kind, reason)",
      everybody.map((id) => [id, INITIAL_BALANCE, INITIAL_BALANCE, "grant", "bench"])
    )
    await insertProducts(connection, products)
  })

/** The tables of a shop that trusts its code: no constraints, no ledgers. */
const NAIVE_TABLES = [
  "users (id CHAR(36) PRIMARY KEY, balance BIGINT NOT NULL)",
  `products (sku VARCHAR(64) PRIMARY KEY, name VARCHAR(200) NOT NULL, category VARCHAR(64) NOT NULL,
    price_minor BIGINT NOT NULL, stock BIGINT NOT NULL, KEY products_category (category, sku))`,
  `coupons (id CHAR(36) PRIMARY KEY, name VARCHAR(200) NOT NULL, quantity BIGINT NOT NULL,
    issued BIGINT NOT NULL DEFAULT 0)`,
  `user_coupons (id CHAR(36) PRIMARY KEY, coupon_id CHAR(36) NOT NULL, user_id CHAR(36) NOT NULL,
    KEY user_coupons_user (coupon_id, user_id))`,
  `orders (id CHAR(36) PRIMARY KEY, user_id CHAR(36) NOT NULL, status VARCHAR(16) NOT NULL,
    total_minor BIGINT NOT NULL, created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3))`,
  `order_items (order_id CHAR(36) NOT NULL, sku VARCHAR(64) NOT NULL, quantity BIGINT NOT NULL,
    PRIMARY KEY (order_id, sku))`,
  `payments (id CHAR(36) PRIMARY KEY, order_id CHAR(36) NOT NULL, user_id CHAR(36) NOT NULL,
    amount_minor BIGINT NOT NULL)`
]

/** Creates and fills the tables of the naive shop. */
export const seedNaive = (url: string, people: ReadonlyArray<Person>): Promise<void> =>
  withDatabase(url, async (connection) => {
    for (const table of NAIVE_TABLES) await connection.query(`CREATE TABLE ${table}`)
    await insert(
      connection,
      "users (id, balance)",
      people.map(({ id }) => [id, INITIAL_BALANCE])
    )
    await insert(
      connection,
      "products (sku, name, category, price_minor, stock)",
      products.map(({ category, name, priceMinor, sku }) => [sku, name, category, priceMinor, INITIAL_STOCK])
    )
  })
