import { announcedSince, type AnswerRule, type Check, hex, idInAnswer } from "../../platform/audit/check.ts"

/** What belongs to an order is checked with it. */
const ORDERS = { table: "orders", column: "id" }

/** Payments against the orders they pay. */
export const paymentChecks: ReadonlyArray<Check> = [
  {
    name: "paid orders",
    promise: "every paid order has exactly one payment, of its total",
    countSql: `SELECT COUNT(*) AS n FROM orders WHERE status NOT IN ('PENDING', 'CANCELLED')`,
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.total_minor AS total, COUNT(p.id) AS payments,
        CAST(COALESCE(SUM(p.amount_minor), 0) AS SIGNED) AS amount
      FROM orders o LEFT JOIN payments p ON p.order_id = o.id
      WHERE o.status NOT IN ('PENDING', 'CANCELLED') AND WITHIN(o.id) GROUP BY o.id, o.total_minor
      HAVING COUNT(p.id) <> 1 OR SUM(p.amount_minor) <> o.total_minor`
  },
  {
    name: "payments",
    promise: "every payment has its order, paid by the order's owner",
    countSql: "SELECT COUNT(*) AS n FROM payments",
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("p.id")} AS payment, ${hex("p.order_id")} AS \`order\`, o.status
      FROM payments p LEFT JOIN orders o ON o.id = p.order_id
      WHERE WITHIN(p.order_id) AND (o.id IS NULL OR o.user_id <> p.user_id OR o.status = 'PENDING')`
  }
]

/** The debits of payments in the points' ledger. */
export const debitChecks: ReadonlyArray<Check> = [
  {
    name: "charges",
    promise: "every payment took its amount from its payer's account, once",
    countSql: "SELECT COUNT(*) AS n FROM payments",
    portions: ORDERS,
    problemsSql: `
      SELECT ${hex("order_id")} AS \`order\`, ${hex("user_id")} AS \`user\`, CAST(SUM(paid) AS SIGNED) AS paid,
        CAST(SUM(charged) AS SIGNED) AS charged FROM (
        SELECT order_id, user_id, amount_minor AS paid, 1 AS payments, 0 AS charged, 0 AS charges FROM payments WHERE WITHIN(order_id)
        UNION ALL
        SELECT order_id, user_id, 0, 0, -delta, 1 FROM point_ledger WHERE kind = 'payment' AND WITHIN(order_id)
      ) both_sides GROUP BY order_id, user_id
      HAVING SUM(paid) <> SUM(charged) OR SUM(payments) <> SUM(charges)`
  }
]

/** The events that payments and refunds publish. */
export const paymentEventChecks: ReadonlyArray<Check> = [
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
  }
]

/** The answers of `payments.process` against the payments. */
export const paymentAnswers: ReadonlyArray<AnswerRule> = [
  {
    procedure: "payments.process",
    isWrong: `NOT EXISTS (SELECT 1 FROM payments p WHERE p.user_id = k.user_id AND p.id = ${idInAnswer("$.success.id")})`
  }
]
