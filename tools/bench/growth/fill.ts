import type { Connection, RowDataPacket } from "mysql2/promise"
import { withDatabase } from "../shop/seed.ts"
import { PRODUCTS } from "../shop/goods.ts"

const PRICE = 100
const BUYERS = 1_000
/** Orders that one transaction inserts. */
const AT_ONCE = 100_000

/** Inserts old orders of one unit, with all that the audit asks for, until the table has so many. */
export const fillOrders = (mysqlUrl: string, total: number): Promise<void> =>
  withDatabase(mysqlUrl, async (connection) => {
    for (let orders = await countOf(connection); orders < total; orders = await countOf(connection)) {
      const count = Math.min(AT_ONCE, total - orders)
      await numbersTo(connection, count)
      await connection.beginTransaction()
      await insertOrders(connection, orders, count)
      await connection.commit()
      await connection.query("DROP TABLE bench_numbers")
    }
    await connection.query("ANALYZE TABLE orders, order_items, stock_ledger")
  })

const countOf = async (connection: Connection): Promise<number> => {
  const [rows] = await connection.query<Array<RowDataPacket>>("SELECT COUNT(*) AS n FROM orders")
  return Number(rows[0]?.["n"])
}

/** A table of the numbers from 0 to below `count`, at least; it doubles with each statement. */
const numbersTo = async (connection: Connection, count: number): Promise<void> => {
  await connection.query("CREATE TABLE bench_numbers (n BIGINT NOT NULL PRIMARY KEY)")
  await connection.query("INSERT INTO bench_numbers VALUES (0)")
  for (let size = 1; size < count; size *= 2)
    await connection.query("INSERT INTO bench_numbers SELECT n + ? FROM bench_numbers", [size])
}

const SKU = `CONCAT('SKU-', n % ${PRODUCTS}) COLLATE utf8mb4_bin`

const insertOrders = async (connection: Connection, first: number, count: number): Promise<void> => {
  const id = `UNHEX(LPAD(HEX(${first} + n), 32, '0'))`
  const numbers = `bench_numbers WHERE n < ${count}`
  await connection.query(
    `INSERT INTO orders (id, user_id, status, total_minor, created_at, expires_at)
     SELECT ${id}, buyer.id, 'PENDING', ${PRICE}, UTC_TIMESTAMP(3) - INTERVAL 1 DAY, UTC_TIMESTAMP(3) + INTERVAL 1 DAY
     FROM bench_numbers JOIN (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM users) buyer
       ON buyer.place = n % ${BUYERS} WHERE n < ${count}`
  )
  await connection.query(
    `INSERT INTO order_items (order_id, sku, quantity, unit_price_minor)
     SELECT ${id}, ${SKU}, 1, ${PRICE} FROM ${numbers}`
  )
  await connection.query(
    `INSERT INTO stock_ledger (sku, delta, kind, order_id)
     SELECT ${SKU}, -1, 'reservation', ${id} FROM ${numbers}`
  )
  await connection.query(
    `UPDATE products p JOIN (SELECT ${SKU} AS sku, COUNT(*) AS units FROM ${numbers} GROUP BY 1) sold
       ON sold.sku = p.sku SET p.stock = p.stock - sold.units`
  )
}
