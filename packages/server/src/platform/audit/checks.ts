import { couponChecks } from "../../modules/coupons/audit.ts"

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

/** Published events are deleted after a while; what happened since then must still be there. */
const announcedSince =
  "(SELECT IF(i.outbox_trimmed_before > '1971-01-01', i.outbox_trimmed_before + INTERVAL 1 HOUR, '1970-01-01') FROM installation i)"

/** The id at a path of an idempotency key's answer, as the database keeps ids. */
const idIn = (path: string) => `UNHEX(REPLACE(JSON_UNQUOTE(JSON_EXTRACT(k.answer, '${path}')), '-', ''))`

const shopChecks: ReadonlyArray<Check> = [
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
    promise:
      "the total of every order is the sum of its lines less its discount, and it has at least one line",
    countSql: "SELECT COUNT(*) AS n FROM orders",
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.total_minor AS total, o.discount_minor AS discount,
        CAST(COALESCE(SUM(i.quantity * i.unit_price_minor), 0) AS SIGNED) AS \`lines\`
      FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
      GROUP BY o.id, o.total_minor, o.discount_minor
      HAVING COUNT(i.sku) = 0
        OR COALESCE(SUM(i.quantity * i.unit_price_minor), 0) <> o.total_minor + o.discount_minor`
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
    name: "cancellations",
    promise: "a cancelled order says when and why, and one that was not paid in time expired before",
    countSql: "SELECT COUNT(*) AS n FROM orders WHERE status = 'CANCELLED'",
    problemsSql: `
      SELECT ${hex("id")} AS \`order\`, status, cancelled_at, cancel_reason, expires_at FROM orders
      WHERE (status = 'CANCELLED') <> (cancelled_at IS NOT NULL)
        OR (status = 'CANCELLED') <> (cancel_reason IS NOT NULL)
        OR (cancel_reason = 'expired' AND cancelled_at < expires_at)`
  },
  {
    name: "refunds",
    promise: "a paid order that was cancelled got its payment back, once, and no other order did",
    countSql: "SELECT COUNT(*) AS n FROM refunds",
    problemsSql: `
      SELECT ${hex("order_id")} AS \`order\`, CAST(SUM(due) AS SIGNED) AS due, CAST(SUM(refunded) AS SIGNED) AS refunded,
        CAST(SUM(credited) AS SIGNED) AS credited FROM (
        SELECT p.order_id, p.user_id, p.amount_minor AS due, 1 AS dues, 0 AS refunded, 0 AS refunds, 0 AS credited, 0 AS credits
          FROM payments p JOIN orders o ON o.id = p.order_id WHERE o.status = 'CANCELLED'
        UNION ALL
        SELECT order_id, user_id, 0, 0, amount_minor, 1, 0, 0 FROM refunds
        UNION ALL
        SELECT order_id, user_id, 0, 0, 0, 0, delta, 1 FROM point_ledger WHERE kind = 'refund'
      ) three_sides GROUP BY order_id, user_id
      HAVING SUM(due) <> SUM(refunded) OR SUM(due) <> SUM(credited)
        OR SUM(dues) <> SUM(refunds) OR SUM(dues) <> SUM(credits) OR SUM(dues) > 1`
  },
  {
    name: "expiry",
    promise: "no order holds stock for more than a minute past its deadline while a server looks after it",
    countSql: "SELECT COUNT(*) AS n FROM orders WHERE status = 'PENDING'",
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.expires_at FROM orders o JOIN worker_turns t ON t.worker = 'outbox relay'
      WHERE o.status = 'PENDING' AND o.expires_at < t.last_round_at - INTERVAL 1 MINUTE`
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
    promise: "every payment and every refund was announced, once",
    countSql: "SELECT COUNT(*) AS n FROM outbox WHERE topic IN ('order.paid', 'order.refunded')",
    problemsSql: `
      SELECT topic, \`order\`, CAST(SUM(done) AS SIGNED) AS done, CAST(SUM(announced) AS SIGNED) AS announced FROM (
        SELECT 'order.paid' AS topic, ${hex("p.order_id")} AS \`order\`, 1 AS done, 0 AS announced, p.created_at > ${announcedSince} AS is_kept
          FROM payments p
        UNION ALL
        SELECT 'order.refunded', ${hex("r.order_id")}, 1, 0, r.created_at > ${announcedSince} FROM refunds r
        UNION ALL
        SELECT topic, REPLACE(JSON_UNQUOTE(JSON_EXTRACT(payload, '$.orderId')), '-', ''), 0, 1, 0
          FROM outbox WHERE topic IN ('order.paid', 'order.refunded')
      ) both_sides GROUP BY topic, \`order\`
      HAVING SUM(announced) > SUM(done) OR (SUM(announced) < SUM(done) AND MAX(is_kept) = 1)`
  },
  {
    name: "outbox",
    promise: "every event was published within a minute while a server looked after it",
    countSql: "SELECT COUNT(*) AS n FROM outbox",
    problemsSql: `
      SELECT o.id, o.topic, o.created_at FROM outbox o JOIN worker_turns t ON t.worker = 'outbox relay'
      WHERE o.published_at IS NULL AND o.created_at < t.last_round_at - INTERVAL 1 MINUTE`
  },
  {
    name: "answers",
    promise: "every answer that an idempotency key repeats has its effect in the books",
    countSql: "SELECT COUNT(*) AS n FROM idempotency_keys",
    problemsSql: `
      SELECT k.procedure_path AS \`procedure\`, ${hex("k.user_id")} AS \`user\`, k.idempotency_key AS \`key\`
      FROM idempotency_keys k
      WHERE JSON_EXTRACT(k.answer, '$.success') IS NOT NULL AND (
        (k.procedure_path = 'orders.create'
          AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = k.user_id AND o.id = ${idIn("$.success.id")}))
        OR (k.procedure_path = 'orders.cancel'
          AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.status = 'CANCELLED' AND o.id = ${idIn("$.success.id")}))
        OR (k.procedure_path = 'payments.process'
          AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.user_id = k.user_id AND p.id = ${idIn("$.success.id")}))
        OR (k.procedure_path = 'auth.register'
          AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = ${idIn("$.success.id")}))
        OR (k.procedure_path = 'points.charge'
          AND (SELECT COUNT(*) FROM point_ledger l WHERE l.user_id = k.user_id AND l.kind = 'charge')
            < (SELECT COUNT(*) FROM idempotency_keys c WHERE c.user_id = k.user_id AND c.procedure_path = 'points.charge'
                AND JSON_EXTRACT(c.answer, '$.success') IS NOT NULL)))`
  }
]

export const checks: ReadonlyArray<Check> = [...shopChecks, ...couponChecks]
