import { type AnswerRule, type Check, hex, idInAnswer } from "../../platform/audit/check.ts"

/** What belongs to an order is checked with it. */
const ORDERS = { table: "orders", column: "id" }

/** Orders against their lines and the units that they hold. */
export const orderChecks: ReadonlyArray<Check> = [
  {
    name: "reservations",
    promise: "every order holds exactly the units of its lines",
    countSql: "SELECT COUNT(*) AS n FROM order_items",
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("order_id")} AS \`order\`, sku, CAST(SUM(held) AS SIGNED) AS held, CAST(SUM(ordered) AS SIGNED) AS ordered FROM (
        SELECT l.order_id, l.sku, -l.delta AS held, 0 AS ordered FROM stock_ledger l WHERE l.order_id IS NOT NULL AND WITHIN(l.order_id)
        UNION ALL
        SELECT i.order_id, i.sku, 0, IF(o.status = 'CANCELLED', 0, i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE WITHIN(i.order_id)
      ) both_sides GROUP BY order_id, sku HAVING SUM(held) <> SUM(ordered)`
  },
  {
    name: "order totals",
    promise:
      "the total of every order is the sum of its lines less its discount, and it has at least one line",
    countSql: "SELECT COUNT(*) AS n FROM orders",
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.total_minor AS total, o.discount_minor AS discount,
        CAST(COALESCE(SUM(i.quantity * i.unit_price_minor), 0) AS SIGNED) AS \`lines\`
      FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
      WHERE WITHIN(o.id)
      GROUP BY o.id, o.total_minor, o.discount_minor
      HAVING COUNT(i.sku) = 0
        OR COALESCE(SUM(i.quantity * i.unit_price_minor), 0) <> o.total_minor + o.discount_minor`
  },
  {
    name: "order lines",
    promise: "every line belongs to an order and to a product",
    countSql: "SELECT COUNT(*) AS n FROM order_items",
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("i.order_id")} AS \`order\`, i.sku
      FROM order_items i LEFT JOIN orders o ON o.id = i.order_id LEFT JOIN products p ON p.sku = i.sku
      WHERE WITHIN(i.order_id) AND (o.id IS NULL OR p.sku IS NULL)`
  }
]

/** How orders end without being delivered. */
export const cancellationChecks: ReadonlyArray<Check> = [
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
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("order_id")} AS \`order\`, CAST(SUM(due) AS SIGNED) AS due, CAST(SUM(refunded) AS SIGNED) AS refunded,
        CAST(SUM(credited) AS SIGNED) AS credited FROM (
        SELECT p.order_id, p.user_id, p.amount_minor AS due, 1 AS dues, 0 AS refunded, 0 AS refunds, 0 AS credited, 0 AS credits
          FROM payments p JOIN orders o ON o.id = p.order_id WHERE o.status = 'CANCELLED' AND WITHIN(p.order_id)
        UNION ALL
        SELECT order_id, user_id, 0, 0, amount_minor, 1, 0, 0 FROM refunds WHERE WITHIN(order_id)
        UNION ALL
        SELECT order_id, user_id, 0, 0, 0, 0, delta, 1 FROM point_ledger WHERE kind = 'refund' AND WITHIN(order_id)
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
  }
]

/** The answers of `orders.create` and `orders.cancel` against the orders. */
export const orderAnswers: ReadonlyArray<AnswerRule> = [
  {
    procedure: "orders.create",
    isWrong: `NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = k.user_id AND o.id = ${idInAnswer("$.success.id")})`
  },
  {
    procedure: "orders.cancel",
    isWrong: `NOT EXISTS (SELECT 1 FROM orders o WHERE o.status = 'CANCELLED' AND o.id = ${idInAnswer("$.success.id")})`
  }
]
