import type { RowDataPacket } from "mysql2/promise"
import { audit } from "../../src/shop/audit.ts"
import { INITIAL_BALANCE, INITIAL_STOCK } from "./goods.ts"
import { withDatabase } from "./seed.ts"
import type { Shop } from "./shops.ts"

/** What is wrong with the books of a shop; nothing when they are right. */
export const faultsInBooks = (shop: Shop): Promise<ReadonlyArray<string>> =>
  shop.name === "naive" ? naiveFaults(shop) : auditFaults(shop)

/** The floor writes Holdfast's rows, so Holdfast's audit holds for it; only Holdfast's Redis can be audited. */
const auditFaults = async ({ mysqlUrl, name, redisUrl }: Shop): Promise<ReadonlyArray<string>> => {
  const { checks } = await audit(mysqlUrl, name === "holdfast" ? redisUrl : undefined)
  return checks
    .filter(({ ok }) => !ok)
    .map(
      ({ name: check, problems }) =>
        `${check}: ${problems.length} problems, such as ${JSON.stringify(problems[0])}`
    )
}

/** What the books of a shop must never show, each with a query that counts it. */
const NEVER: Readonly<Record<string, string>> = {
  "coupons issued above the limit": `
    SELECT COALESCE(SUM(GREATEST(held - quantity, 0)), 0) AS n FROM
      (SELECT c.quantity, COUNT(u.id) AS held FROM coupons c JOIN user_coupons u ON u.coupon_id = c.id
       GROUP BY c.id, c.quantity) campaigns`,
  "second coupons of the same user": `
    SELECT COALESCE(SUM(held - 1), 0) AS n FROM
      (SELECT COUNT(*) AS held FROM user_coupons GROUP BY coupon_id, user_id HAVING COUNT(*) > 1) holders`,
  "coupons that no campaign counted": `
    SELECT COALESCE(SUM(ABS(held - issued)), 0) AS n FROM
      (SELECT c.issued, (SELECT COUNT(*) FROM user_coupons u WHERE u.coupon_id = c.id) AS held
       FROM coupons c) campaigns`,
  "units sold that are still in stock": `
    SELECT COALESCE(SUM(ABS(p.stock + COALESCE(sold.units, 0) - ${INITIAL_STOCK})), 0) AS n
    FROM products p LEFT JOIN (SELECT sku, SUM(quantity) AS units FROM order_items GROUP BY sku) sold
      ON sold.sku = p.sku`,
  "points paid that are still in an account": `
    SELECT COALESCE(SUM(ABS(u.balance + COALESCE(paid.amount, 0) - ${INITIAL_BALANCE})), 0) AS n
    FROM users u LEFT JOIN (SELECT user_id, SUM(amount_minor) AS amount FROM payments GROUP BY user_id) paid
      ON paid.user_id = u.id`,
  "balances below zero": "SELECT COUNT(*) AS n FROM users WHERE balance < 0"
}

const naiveFaults = ({ mysqlUrl }: Shop): Promise<ReadonlyArray<string>> =>
  withDatabase(mysqlUrl, async (connection) => {
    const faults: Array<string> = []
    for (const [what, sql] of Object.entries(NEVER)) {
      const [rows] = await connection.query<Array<RowDataPacket>>(sql)
      const count = Number(rows[0]?.["n"])
      if (count !== 0) faults.push(`${what}: ${count}`)
    }
    return faults
  })
