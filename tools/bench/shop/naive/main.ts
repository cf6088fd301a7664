// A shop as many are written: it reads, decides and writes, without a lock or a transaction around the three.
import Fastify from "fastify"
import { Redis } from "ioredis"
import type { AddressInfo } from "node:net"
import { createPool, type ResultSetHeader, type RowDataPacket } from "mysql2/promise"
import { listening, peerStores } from "../peer.ts"
import { newId, userOfToken } from "../people.ts"

const { mysqlUrl, redisUrl } = peerStores()
const pool = createPool({ uri: mysqlUrl, connectionLimit: 16, timezone: "Z" })
const redis = new Redis(redisUrl)

/** A refusal with the status of its answer. */
class Refusal extends Error {
  readonly statusCode: number

  constructor(statusCode: number, message: string) {
    super(message)
    this.statusCode = statusCode
  }
}

const rows = async <Row>(sql: string, values: ReadonlyArray<string | number> = []) => {
  const [found] = await pool.query<Array<RowDataPacket>>(sql, [...values])
  return found as Array<Row>
}

const write = async (sql: string, values: ReadonlyArray<string | number>): Promise<void> => {
  await pool.query<ResultSetHeader>(sql, [...values])
}

const createCoupon = async (_userId: string, { name, quantity }: { name: string; quantity: number }) => {
  const id = newId()
  await write("INSERT INTO coupons (id, name, quantity) VALUES (?, ?, ?)", [id, name, quantity])
  return { id }
}

const issueCoupon = async (userId: string, { couponId }: { couponId: string }) => {
  const [coupon] = await rows<{ quantity: number; issued: number }>("SELECT * FROM coupons WHERE id = ?", [
    couponId
  ])
  if (coupon === undefined) throw new Refusal(404, "CouponNotFound")
  const own = [couponId, userId]
  if ((await rows("SELECT id FROM user_coupons WHERE coupon_id = ? AND user_id = ?", own)).length > 0)
    throw new Refusal(409, "CouponAlreadyIssued")
  if (coupon.issued >= coupon.quantity) throw new Refusal(409, "CouponSoldOut")
  const id = newId()
  await write("INSERT INTO user_coupons (id, coupon_id, user_id) VALUES (?, ?, ?)", [id, ...own])
  await write("UPDATE coupons SET issued = ? WHERE id = ?", [coupon.issued + 1, couponId])
  return { id, couponId, userId }
}

type Line = { readonly sku: string; readonly quantity: number }

const createOrder = async (userId: string, { lines }: { lines: ReadonlyArray<Line> }) => {
  const id = newId()
  let totalMinor = 0
  for (const { quantity, sku } of lines) {
    const [product] = await rows<{ price_minor: number; stock: number }>(
      "SELECT * FROM products WHERE sku = ?",
      [sku]
    )
    if (product === undefined) throw new Refusal(404, "ProductNotFound")
    if (product.stock < quantity) throw new Refusal(409, "OutOfStock")
    await write("UPDATE products SET stock = ? WHERE sku = ?", [product.stock - quantity, sku])
    await write("INSERT INTO order_items (order_id, sku, quantity) VALUES (?, ?, ?)", [id, sku, quantity])
    totalMinor += quantity * product.price_minor
  }
  await write("INSERT INTO orders (id, user_id, status, total_minor) VALUES (?, ?, 'PENDING', ?)", [
    id,
    userId,
    totalMinor
  ])
  return { id, userId, status: "PENDING", items: lines, totalMinor }
}

const processPayment = async (userId: string, { orderId }: { orderId: string }) => {
  const [order] = await rows<{ status: string; total_minor: number }>(
    "SELECT * FROM orders WHERE id = ? AND user_id = ?",
    [orderId, userId]
  )
  if (order?.status !== "PENDING") throw new Refusal(409, "OrderNotPayable")
  const [user] = await rows<{ balance: number }>("SELECT * FROM users WHERE id = ?", [userId])
  if (user === undefined || user.balance < order.total_minor) throw new Refusal(409, "InsufficientPoints")
  await write("UPDATE users SET balance = ? WHERE id = ?", [user.balance - order.total_minor, userId])
  const id = newId()
  await write("INSERT INTO payments (id, order_id, user_id, amount_minor) VALUES (?, ?, ?, ?)", [
    id,
    orderId,
    userId,
    order.total_minor
  ])
  await write("UPDATE orders SET status = 'PAID' WHERE id = ?", [orderId])
  await redis.del(`points.balance:${userId}`)
  return { id, orderId, amountMinor: order.total_minor }
}

const FRESH_SECONDS = 5
const PRODUCTS = "SELECT sku, name, category, price_minor AS priceMinor, stock FROM products"

const queries: Readonly<Record<string, (userId: string, input: Record<string, string>) => Promise<unknown>>> =
  {
    "products.bySku": async (_userId, { sku = "" }) => (await rows(`${PRODUCTS} WHERE sku = ?`, [sku]))[0],
    "products.page": async () => ({ items: await rows(`${PRODUCTS} ORDER BY sku LIMIT 20`) }),
    "products.search": async (_userId, { text }) => ({
      items: await rows(`${PRODUCTS} WHERE name LIKE ? ORDER BY sku LIMIT 20`, [`%${text}%`])
    }),
    "products.categories": () =>
      rows("SELECT category, COUNT(*) AS products FROM products GROUP BY category ORDER BY category"),
    "products.topSellers": async () => ({
      products: await rows(`SELECT p.sku, p.name, CAST(SUM(i.quantity) AS SIGNED) AS unitsSold
      FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.sku = i.sku
      WHERE o.status = 'PAID' AND o.created_at > UTC_DATE() - INTERVAL 2 DAY
      GROUP BY p.sku, p.name ORDER BY unitsSold DESC LIMIT 20`)
    }),
    "coupons.byId": async (_userId, { couponId = "" }) =>
      (await rows("SELECT * FROM coupons WHERE id = ?", [couponId]))[0],
    "points.balance": async (userId) => (await rows("SELECT balance FROM users WHERE id = ?", [userId]))[0]
  }

const mutations: Readonly<Record<string, (userId: string, input: never) => Promise<object>>> = {
  "admin.createCoupon": createCoupon,
  "coupons.issue": issueCoupon,
  "orders.create": createOrder,
  "payments.process": processPayment
}

const server = Fastify()

for (const [path, query] of Object.entries(queries))
  server.get<{ Querystring: { input: string } }>(`/trpc/${path}`, async (request) => {
    const userId = path === "points.balance" ? userOfToken(request.headers.authorization) : ""
    const key = `${path}:${userId === "" ? request.query.input : userId}`
    const cached = await redis.get(key)
    if (cached !== null) return { result: { data: JSON.parse(cached) as unknown } }
    const data = await query(userId, JSON.parse(request.query.input) as Record<string, string>)
    await redis.set(key, JSON.stringify(data), "EX", FRESH_SECONDS)
    return { result: { data } }
  })

for (const [path, mutation] of Object.entries(mutations))
  server.post(`/trpc/${path}`, async (request) => ({
    result: { data: await mutation(userOfToken(request.headers.authorization), request.body as never) }
  }))

await server.listen({ host: "127.0.0.1", port: 0 })
listening((server.server.address() as AddressInfo).port)
