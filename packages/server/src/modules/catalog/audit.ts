import { type Check, hex } from "../../platform/audit/check.ts"

/** The stock against its ledger, and the ledger against products and orders. */
export const stockChecks: ReadonlyArray<Check> = [
  {
    name: "stock",
    promise: "initial + adjustments - reserved - sold = stock, for every product, and never below 0",
    countSql: "SELECT COUNT(*) AS n FROM products",
    problemsSql: `
      SELECT p.sku, p.stock,
        CAST(COALESCE(SUM(CASE WHEN l.kind = 'initial' THEN l.delta END), 0) AS SIGNED) AS initial,
        CAST(COALESCE(SUM(CASE WHEN l.kind = 'adjustment' THEN l.delta END), 0) AS SIGNED) AS adjustments,
        CAST(COALESCE(-SUM(CASE WHEN l.kind = 'reservation' AND o.status = 'PENDING' THEN l.delta END), 0) AS SIGNED) AS reserved,
        CAST(COALESCE(-SUM(CASE WHEN l.kind = 'reservation' AND o.status NOT IN ('PENDING', 'CANCELLED') THEN l.delta END), 0) AS SIGNED) AS sold
      FROM products p LEFT JOIN stock_ledger l ON l.sku = p.sku LEFT JOIN orders o ON o.id = l.order_id
      GROUP BY p.sku, p.stock
      HAVING stock < 0 OR initial + adjustments - reserved - sold <> stock
        OR SUM(CASE WHEN l.kind = 'initial' THEN 1 ELSE 0 END) <> 1`
  },
  {
    name: "stock ledger",
    promise: "every movement of stock belongs to a product, and every reservation to an order",
    countSql: "SELECT COUNT(*) AS n FROM stock_ledger",
    problemsSql: `
      SELECT l.id, l.sku, l.kind, l.delta, ${hex("l.order_id")} AS \`order\`
      FROM stock_ledger l LEFT JOIN products p ON p.sku = l.sku LEFT JOIN orders o ON o.id = l.order_id
      WHERE p.sku IS NULL OR (l.order_id IS NOT NULL AND o.id IS NULL)`
  }
]
