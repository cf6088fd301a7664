import { announcedSince, type Check, hex, idInAnswer } from "../../platform/audit/check.ts"

/** Campaigns, users' coupons, their ledger, and the orders that use them, against each other. */
export const couponChecks: ReadonlyArray<Check> = [
  {
    name: "coupons",
    promise:
      "issued = coupons of users = ledger <= quantity, for every campaign; its quantity is what was put in",
    countSql: "SELECT COUNT(*) AS n FROM coupons",
    problemsSql: `
      SELECT ${hex("c.id")} AS coupon, c.quantity, c.issued, COALESCE(u.held, 0) AS held,
        CAST(COALESCE(l.put_in, 0) AS SIGNED) AS put_in, CAST(COALESCE(l.taken_out, 0) AS SIGNED) AS taken_out
      FROM coupons c
        LEFT JOIN (SELECT coupon_id, COUNT(*) AS held FROM user_coupons GROUP BY coupon_id) u ON u.coupon_id = c.id
        LEFT JOIN (SELECT coupon_id, SUM(IF(kind IN ('initial', 'raise'), delta, 0)) AS put_in,
            -SUM(IF(kind = 'issue', delta, 0)) AS taken_out, SUM(kind = 'initial') AS starts
          FROM coupon_ledger GROUP BY coupon_id) l ON l.coupon_id = c.id
      WHERE c.issued > c.quantity OR c.issued < 0 OR c.issued <> COALESCE(u.held, 0)
        OR c.issued <> COALESCE(l.taken_out, 0) OR c.quantity <> COALESCE(l.put_in, 0) OR COALESCE(l.starts, 0) <> 1`
  },
  {
    name: "coupon holders",
    promise: "every user has at most one coupon of a campaign, with one row of the ledger that issued it",
    countSql: "SELECT COUNT(*) AS n FROM user_coupons",
    problemsSql: `
      SELECT ${hex("coupon_id")} AS coupon, ${hex("user_coupon_id")} AS user_coupon, CAST(SUM(held) AS SIGNED) AS held,
        CAST(SUM(issued) AS SIGNED) AS issued FROM (
        SELECT coupon_id, id AS user_coupon_id, 1 AS held, 0 AS issued FROM user_coupons
        UNION ALL
        SELECT coupon_id, user_coupon_id, 0, 1 FROM coupon_ledger WHERE kind = 'issue'
      ) both_sides GROUP BY coupon_id, user_coupon_id HAVING SUM(held) <> 1 OR SUM(issued) <> 1
      UNION ALL
      SELECT ${hex("coupon_id")}, ${hex("user_id")}, COUNT(*), NULL FROM user_coupons
      GROUP BY coupon_id, user_id HAVING COUNT(*) > 1`
  },
  {
    name: "used coupons",
    promise: "every used coupon has its order, alive and its owner's, and every such order its coupon",
    countSql: "SELECT COUNT(*) AS n FROM user_coupons WHERE order_id IS NOT NULL",
    problemsSql: `
      SELECT ${hex("u.id")} AS user_coupon, ${hex("u.order_id")} AS \`order\`, o.status, 'of the coupon' AS side
      FROM user_coupons u LEFT JOIN orders o ON o.id = u.order_id
      WHERE u.order_id IS NOT NULL AND (o.id IS NULL OR o.status = 'CANCELLED' OR o.user_id <> u.user_id
        OR o.user_coupon_id IS NULL OR o.user_coupon_id <> u.id)
      UNION ALL
      SELECT ${hex("o.user_coupon_id")}, ${hex("o.id")}, o.status, 'of the order'
      FROM orders o LEFT JOIN user_coupons u ON u.id = o.user_coupon_id
      WHERE o.user_coupon_id IS NOT NULL AND o.status <> 'CANCELLED' AND (u.id IS NULL OR u.order_id IS NULL OR u.order_id <> o.id)`
  },
  {
    name: "coupon uses",
    promise: "the ledger says of every coupon for which orders it was used and when it came back, each once",
    countSql: "SELECT COUNT(*) AS n FROM coupon_ledger WHERE kind IN ('use', 'return')",
    problemsSql: `
      SELECT ${hex("user_coupon_id")} AS user_coupon, ${hex("order_id")} AS \`order\`, CAST(SUM(ordered) AS SIGNED) AS ordered,
        CAST(SUM(cancelled) AS SIGNED) AS cancelled, CAST(SUM(used) AS SIGNED) AS used, CAST(SUM(returned) AS SIGNED) AS returned FROM (
        SELECT user_coupon_id, id AS order_id, 1 AS ordered, IF(status = 'CANCELLED', 1, 0) AS cancelled, 0 AS used, 0 AS returned
          FROM orders WHERE user_coupon_id IS NOT NULL
        UNION ALL
        SELECT user_coupon_id, order_id, 0, 0, IF(kind = 'use', 1, 0), IF(kind = 'return', 1, 0)
          FROM coupon_ledger WHERE kind IN ('use', 'return')
      ) both_sides GROUP BY user_coupon_id, order_id
      HAVING SUM(ordered) <> 1 OR SUM(used) <> SUM(ordered) OR SUM(returned) <> SUM(cancelled)`
  },
  {
    name: "discounts",
    promise: "a discount is the coupon's, for goods of its minimum or more, and half of them at most",
    countSql: "SELECT COUNT(*) AS n FROM orders WHERE user_coupon_id IS NOT NULL",
    problemsSql: `
      SELECT ${hex("o.id")} AS \`order\`, o.total_minor AS total, o.discount_minor AS discount, c.kind, c.value
      FROM orders o LEFT JOIN user_coupons u ON u.id = o.user_coupon_id LEFT JOIN coupons c ON c.id = u.coupon_id
      WHERE o.discount_minor <> COALESCE(IF(c.kind = 'fixed', c.value,
          CAST(FLOOR(CAST(o.total_minor + o.discount_minor AS DECIMAL(38)) * c.value / 100) AS SIGNED)), 0)
        OR o.discount_minor > o.total_minor OR o.total_minor + o.discount_minor < COALESCE(c.minimum_order_minor, 0)`
  },
  {
    name: "tickets",
    promise: "every issued ticket has its coupon, and nobody waits twice in one line",
    countSql: "SELECT COUNT(*) AS n FROM coupon_tickets",
    problemsSql: `
      SELECT ${hex("t.id")} AS ticket, t.status FROM coupon_tickets t
        LEFT JOIN user_coupons u ON u.coupon_id = t.coupon_id AND u.user_id = t.user_id
      WHERE (t.status = 'issued' AND u.id IS NULL) OR (t.status = 'waiting') <> (t.waiting_user IS NOT NULL)`
  },
  {
    name: "coupon answers",
    promise: "every coupon that an idempotency key's answer names was issued to that user",
    countSql: "SELECT COUNT(*) AS n FROM idempotency_keys WHERE procedure_path = 'coupons.issue'",
    problemsSql: `
      SELECT ${hex("k.user_id")} AS \`user\`, k.idempotency_key AS \`key\` FROM idempotency_keys k
        LEFT JOIN user_coupons u ON u.user_id = k.user_id
          AND u.id = ${idInAnswer("$.success.id")}
      WHERE k.procedure_path = 'coupons.issue' AND JSON_EXTRACT(k.answer, '$.success') IS NOT NULL AND u.id IS NULL`
  },
  {
    name: "coupon events",
    promise: "every issued coupon was announced, once",
    countSql: "SELECT COUNT(*) AS n FROM outbox WHERE topic = 'coupon.issued'",
    problemsSql: `
      SELECT user_coupon, CAST(SUM(issued) AS SIGNED) AS issued, CAST(SUM(announced) AS SIGNED) AS announced FROM (
        SELECT ${hex("id")} AS user_coupon, 1 AS issued, 0 AS announced, issued_at > ${announcedSince} AS is_kept FROM user_coupons
        UNION ALL
        SELECT REPLACE(JSON_UNQUOTE(JSON_EXTRACT(payload, '$.userCouponId')), '-', ''), 0, 1, 0
          FROM outbox WHERE topic = 'coupon.issued'
      ) both_sides GROUP BY user_coupon
      HAVING SUM(announced) > SUM(issued) OR (SUM(announced) < SUM(issued) AND MAX(is_kept) = 1)`
  }
]
