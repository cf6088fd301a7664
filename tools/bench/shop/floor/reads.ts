import { bytesOf } from "../people.ts"
import { Refusal, rows } from "./database.ts"
import { redis } from "./redis.ts"

const FRESH_MS = 5_000

type Input = Readonly<Record<string, string>>
type Load = (input: Input, userId: string) => Promise<unknown>

const PRODUCT = "sku, name, category, price_minor AS priceMinor, stock, created_at AS createdAt"
const CAMPAIGN = `LOWER(HEX(id)) AS id, name, kind, value, minimum_order_minor AS minimumOrderMinor, quantity, issued,
  starts_at AS startsAt, ends_at AS endsAt, valid_days AS validDays`

const first = <Row>(found: ReadonlyArray<Row>): Row => {
  if (found[0] === undefined) throw new Refusal(404, "NotFound")
  return found[0]
}

const loads: Readonly<Record<string, Load>> = {
  "products.bySku": async ({ sku }) =>
    first(await rows(`SELECT ${PRODUCT} FROM products WHERE sku = ?`, [sku ?? ""])),
  "products.page": async () => ({
    items: await rows(`SELECT ${PRODUCT} FROM products ORDER BY sku LIMIT 20`)
  }),
  "products.search": async ({ text }) => ({
    items: await rows(`SELECT ${PRODUCT} FROM products WHERE search_text LIKE ? ORDER BY sku LIMIT 20`, [
      `%${text}%`
    ])
  }),
  "products.categories": () =>
    rows("SELECT category, COUNT(*) AS products FROM products GROUP BY category ORDER BY category"),
  "products.topSellers": async () => ({
    products: await rows(`SELECT p.sku, p.name, CAST(SUM(i.quantity) AS SIGNED) AS unitsSold
      FROM payments m JOIN order_items i ON i.order_id = m.order_id JOIN products p ON p.sku = i.sku
      WHERE m.created_at > UTC_DATE() - INTERVAL 2 DAY GROUP BY p.sku, p.name ORDER BY unitsSold DESC, p.sku LIMIT 20`)
  }),
  "coupons.byId": async ({ couponId }) =>
    first(await rows(`SELECT ${CAMPAIGN} FROM coupons WHERE id = ?`, [bytesOf(couponId ?? "")])),
  "points.balance": async (_input, userId) =>
    first(await rows("SELECT balance FROM point_accounts WHERE user_id = ?", [bytesOf(userId)]))
}

/** The answer to a query as text: from Redis where it is at most five seconds old. */
export const read = async (path: string, input: string, userId: () => string): Promise<string> => {
  const load = loads[path]
  if (load === undefined) throw new Refusal(404, "NotFound")
  const caller = path === "points.balance" ? userId() : ""
  const key = `floor:${path}:${caller === "" ? input : caller}`
  const cached = await redis.get(key)
  if (cached !== null) return cached
  const text = JSON.stringify({ result: { data: await load(JSON.parse(input) as Input, caller) } })
  await redis.set(key, text, "PX", FRESH_MS)
  return text
}
