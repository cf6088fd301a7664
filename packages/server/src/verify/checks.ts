/** What an audit looks at. Each query returns the rows that are wrong; columns named `sku`, `user`, `order` say where. */
export interface Check {
  readonly name: string
  /** The sentence that holds when there are no problems. */
  readonly promise: string
  /** How many things were looked at. */
  readonly countSql: string
  readonly problemsSql: string
}

const hex = (column: string) => `LOWER(HEX(${column}))`

/** Orders that were paid, whatever became of them later. */
const paid = "status IN ('PAID', 'SHIPPED', 'DELIVERED', 'COMPLETED')"

export const checks: ReadonlyArray<Check> = [
  {
    name: "stock",
    promise: "initial + adjustments - reserved - sold = stock, for every product, and never below 0",
    countSql: "SELECT COUNT(*) AS n FROM products",
    problemsSql: `
      SELECT p.sku, p.stock,
        CAST(COALESCE(SUM(CASE WHEN l.kind = 'initial' THEN l.delta END), 0) AS SIGNED) AS initial,
        CAST(COALESCE(SUM(CASE WHEN l.kind = 'adjustment' THEN l.delta END), 0) AS SIGNED) AS adjustments,
        CAST(COALESCE(-SUM(CASE WHEN l.kind = 'reservation' AND o.status = 'PENDING' THEN l.delta END), 0) AS SIGNED) AS reserved,
        CAST(COALESCE(-SUM(CASE WHEN l.kind = 'reservation' AND o.${paid} THEN l.delta END), 0) AS SIGNED) AS sold
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
  },
  {
    name: "reservations",
    promise: "every order holds exactly the units of its lines",
    countSql: "SELECT COUNT(*) AS n FROM order_items",
    problemsSql: `
      SELECT ${hex("order_id")} AS \`order\`, sku, CAST(SUM(held) AS SIGNED) AS held, CAST(SUM(ordered) AS SIGNED) AS ordered FROM (
        SELECT l.order_id, l.sku, -l.delta AS held, 0 AS ordered FROM stock_ledger l WHERE l.order_id IS NOT NULL
        UNION ALL
        SELECT i.order_id, i.sku, 0, IF(o.status = 'CANCELLED', 0, i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id
      ) both_sides GROUP BY order_id, sku HAVING SUM(held) <> SUM(ordered)`
  },
  {
    name: "order totals",
    promise: "the total of every order is the sum of its lines, and it has at least one",
    countSql: "SELECT COUNT(*) AS n FROM orders",
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.total_minor AS total,
        CAST(COALESCE(SUM(i.quantity * i.unit_price_minor), 0) AS SIGNED) AS \`lines\`
      FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
      GROUP BY o.id, o.total_minor
      HAVING COUNT(i.sku) = 0 OR COALESCE(SUM(i.quantity * i.unit_price_minor), 0) <> o.total_minor`
  },
  {
    name: "order lines",
    promise: "every line belongs to an order and to a product",
    countSql: "SELECT COUNT(*) AS n FROM order_items",
    problemsSql: `
      SELECT ${hex("i.order_id")} AS \`order\`, i.sku
      FROM order_items i LEFT JOIN orders o ON o.id = i.order_id LEFT JOIN products p ON p.sku = i.sku
      WHERE o.id IS NULL OR p.sku IS NULL`
  },
  {
    name: "paid orders",
    promise: "every paid order has exactly one payment, of its total",
    countSql: `SELECT COUNT(*) AS n FROM orders WHERE ${paid}`,
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.total_minor AS total, COUNT(p.id) AS payments,
        CAST(COALESCE(SUM(p.amount_minor), 0) AS SIGNED) AS amount
      FROM orders o LEFT JOIN payments p ON p.order_id = o.id
      WHERE o.${paid} GROUP BY o.id, o.total_minor
      HAVING COUNT(p.id) <> 1 OR SUM(p.amount_minor) <> o.total_minor`
  },
  {
    name: "payments",
    promise: "every payment has its order, paid by the order's owner",
    countSql: "SELECT COUNT(*) AS n FROM payments",
    problemsSql: `
      SELECT ${hex("p.id")} AS payment, ${hex("p.order_id")} AS \`order\`, o.status
      FROM payments p LEFT JOIN orders o ON o.id = p.order_id
      WHERE o.id IS NULL OR o.user_id <> p.user_id OR o.status = 'PENDING'`
  },
  {
    name: "charges",
    promise: "every payment took its amount from its payer's account, once",
    countSql: "SELECT COUNT(*) AS n FROM payments",
    problemsSql: `
      SELECT ${hex("order_id")} AS \`order\`, ${hex("user_id")} AS \`user\`, CAST(SUM(paid) AS SIGNED) AS paid,
        CAST(SUM(charged) AS SIGNED) AS charged FROM (
        SELECT order_id, user_id, amount_minor AS paid, 1 AS payments, 0 AS charged, 0 AS charges FROM payments
        UNION ALL
        SELECT order_id, user_id, 0, 0, -delta, 1 FROM point_ledger WHERE kind = 'payment'
      ) both_sides GROUP BY order_id, user_id
      HAVING SUM(paid) <> SUM(charged) OR SUM(payments) <> SUM(charges)`
  },
  {
    name: "balances",
    promise: "the balance of every account is the sum of its ledger, and never below 0",
    countSql: "SELECT COUNT(*) AS n FROM point_accounts",
    problemsSql: `
      SELECT ${hex("a.user_id")} AS \`user\`, a.balance, CAST(COALESCE(SUM(l.delta), 0) AS SIGNED) AS ledger
      FROM point_accounts a LEFT JOIN point_ledger l ON l.user_id = a.user_id
      GROUP BY a.user_id, a.balance HAVING a.balance < 0 OR COALESCE(SUM(l.delta), 0) <> a.balance`
  },
  {
    name: "point ledger",
    promise: "every row of the ledger continues the one before it, and belongs to an account",
    countSql: "SELECT COUNT(*) AS n FROM point_ledger",
    problemsSql: `
      SELECT id, ${hex("user_id")} AS \`user\`, delta, balance_after, CAST(running AS SIGNED) AS running FROM (
        SELECT l.id, l.user_id, l.delta, l.balance_after, a.user_id AS account,
          SUM(l.delta) OVER (PARTITION BY l.user_id ORDER BY l.id) AS running
        FROM point_ledger l LEFT JOIN point_accounts a ON a.user_id = l.user_id
      ) ledger WHERE account IS NULL OR running <> balance_after`
  },
  {
    name: "accounts",
    promise: "every user has an account, every account a user",
    countSql: "SELECT COUNT(*) AS n FROM users",
    problemsSql: `
      SELECT ${hex("u.id")} AS \`user\`, 'no account' AS problem FROM users u
        LEFT JOIN point_accounts a ON a.user_id = u.id WHERE a.user_id IS NULL
      UNION ALL
      SELECT ${hex("a.user_id")}, 'no user' FROM point_accounts a
        LEFT JOIN users u ON u.id = a.user_id WHERE u.id IS NULL`
  },
  {
    name: "events",
    promise: "every payment announced its order as paid, once",
    countSql: "SELECT COUNT(*) AS n FROM outbox WHERE topic = 'order.paid'",
    problemsSql: `
      SELECT payment, CAST(SUM(paid) AS SIGNED) AS paid, CAST(SUM(announced) AS SIGNED) AS announced FROM (
        SELECT ${hex("id")} AS payment, 1 AS paid, 0 AS announced FROM payments
        UNION ALL
        SELECT REPLACE(JSON_UNQUOTE(JSON_EXTRACT(payload, '$.paymentId')), '-', ''), 0, 1 FROM outbox WHERE topic = 'order.paid'
      ) both_sides GROUP BY payment HAVING SUM(paid) <> SUM(announced)`
  }
]
