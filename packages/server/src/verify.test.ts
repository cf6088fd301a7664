import { contract } from "@holdfast/domain"
import { Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { drain } from "../test/jobs.ts"
import { restore, snapshot } from "../test/saved-tables.ts"
import { Shop, testSettings, type TestUser } from "../test/shop.ts"
import { cacheInvalidator } from "./cache-invalidation.ts"
import { rankingProjector } from "./modules/ranking/projector.ts"
import { webhookJobs } from "./modules/webhooks/jobs.ts"
import { outboxRelay } from "./platform/outbox/relay.ts"
import { verifyText } from "./platform/audit/report.ts"

/** Each kind of damage to a consistent database, and the check that must report it. */
const damages: ReadonlyArray<readonly [name: string, check: string, statements: ReadonlyArray<string>]> = [
  ["a unit too many in stock", "stock", ["UPDATE products SET stock = stock + 1 WHERE sku = 'tea'"]],
  ["a unit lost from stock", "stock", ["UPDATE products SET stock = stock - 1 WHERE sku = 'tea'"]],
  [
    "an adjustment that nobody wrote down",
    "stock",
    ["DELETE FROM stock_ledger WHERE kind = 'adjustment' LIMIT 1"]
  ],
  [
    "no initial stock in the ledger",
    "stock",
    ["DELETE FROM stock_ledger WHERE kind = 'initial' AND sku = 'mug'"]
  ],
  [
    "a movement of a product that does not exist",
    "stock ledger",
    ["INSERT INTO stock_ledger (sku, delta, kind) VALUES ('ghost', 1, 'adjustment')"]
  ],
  [
    "a reservation of an order that does not exist",
    "stock ledger",
    [
      "INSERT INTO stock_ledger (sku, delta, kind, order_id) VALUES ('tea', -1, 'reservation', REPEAT('x', 16))",
      "UPDATE products SET stock = stock - 1 WHERE sku = 'tea'"
    ]
  ],
  [
    "a reservation taken twice",
    "reservations",
    [
      "ALTER TABLE stock_ledger DROP KEY stock_ledger_once",
      "INSERT INTO stock_ledger (sku, delta, kind, order_id) SELECT sku, delta, kind, order_id FROM stock_ledger WHERE kind = 'reservation' AND sku = 'tea' LIMIT 1",
      "UPDATE products SET stock = stock - 2 WHERE sku = 'tea'"
    ]
  ],
  [
    "a line whose quantity was changed",
    "reservations",
    ["UPDATE order_items SET quantity = quantity + 1 WHERE sku = 'tea' LIMIT 1"]
  ],
  ["an order without its lines", "order totals", ["DELETE FROM order_items"]],
  [
    "a total that was changed",
    "order totals",
    ["UPDATE orders SET total_minor = total_minor + 1 WHERE status = 'PENDING'"]
  ],
  [
    "a price that was changed on a line",
    "order totals",
    ["UPDATE order_items SET unit_price_minor = unit_price_minor - 1 LIMIT 1"]
  ],
  ["a line of no order", "order lines", ["INSERT INTO order_items VALUES (REPEAT('x', 16), 'tea', 1, 1)"]],
  ["a paid order without a payment", "paid orders", ["DELETE FROM payments"]],
  ["a payment of another amount", "paid orders", ["UPDATE payments SET amount_minor = amount_minor - 1"]],
  [
    "an order that was paid by nobody",
    "paid orders",
    ["UPDATE orders SET status = 'PAID' WHERE status = 'PENDING'"]
  ],
  [
    "a payment whose order is not paid",
    "payments",
    ["UPDATE orders SET status = 'PENDING' WHERE status = 'PAID'"]
  ],
  ["a payment of no order", "payments", ["UPDATE payments SET order_id = REPEAT('x', 16) LIMIT 1"]],
  [
    "a payment by a stranger",
    "payments",
    ["UPDATE payments SET user_id = (SELECT id FROM users WHERE role = 'admin')"]
  ],
  ["a payment that took no points", "charges", ["DELETE FROM point_ledger WHERE kind = 'payment'"]],
  [
    "a payment that took points twice",
    "charges",
    [
      "ALTER TABLE point_ledger DROP KEY point_ledger_once",
      "INSERT INTO point_ledger (user_id, delta, balance_after, kind, order_id) SELECT user_id, delta, balance_after + delta, kind, order_id FROM point_ledger WHERE kind = 'payment'",
      "UPDATE point_accounts SET balance = balance - 500 WHERE balance > 0"
    ]
  ],
  ["points that came from nowhere", "balances", ["UPDATE point_accounts SET balance = balance + 1"]],
  ["a grant missing in the ledger", "balances", ["DELETE FROM point_ledger WHERE kind = 'grant'"]],
  [
    "a ledger row that does not continue the one before",
    "point ledger",
    ["UPDATE point_ledger SET balance_after = balance_after + 1 WHERE kind = 'payment'"]
  ],
  [
    "ledger rows of no account",
    "point ledger",
    ["UPDATE point_ledger SET user_id = REPEAT('x', 16) WHERE kind = 'grant'"]
  ],
  ["a user without an account", "accounts", ["DELETE FROM point_accounts WHERE balance = 0 LIMIT 1"]],
  ["an account without a user", "accounts", ["INSERT INTO point_accounts VALUES (REPEAT('x', 16), 0)"]],
  ["a payment that was never announced", "events", ["DELETE FROM outbox WHERE topic = 'order.paid'"]],
  [
    "a payment announced twice",
    "events",
    ["INSERT INTO outbox (topic, payload) SELECT topic, payload FROM outbox"]
  ],
  [
    "a payment announced for another order",
    "events",
    [
      "UPDATE outbox SET payload = JSON_SET(payload, '$.orderId', '01900000-0000-7000-8000-000000000000') WHERE topic = 'order.paid'"
    ]
  ],
  ["a refund that was never announced", "events", ["DELETE FROM outbox WHERE topic = 'order.refunded'"]],
  [
    "an event that was not published although a server looked after it",
    "outbox",
    [
      "UPDATE outbox SET published_at = NULL, sequence = NULL ORDER BY id DESC LIMIT 1",
      "UPDATE worker_turns SET last_round_at = UTC_TIMESTAMP(3) + INTERVAL 2 MINUTE WHERE worker = 'outbox relay'"
    ]
  ],
  [
    "a consumer that stands still although it looks",
    "consumers",
    [
      "UPDATE worker_turns SET state = '0', last_round_at = UTC_TIMESTAMP(3) + INTERVAL 2 MINUTE WHERE worker = 'events for cache'"
    ]
  ],
  [
    "a consumer that has forgotten its position although it looks",
    "consumers",
    [
      "UPDATE worker_turns SET state = NULL, last_round_at = UTC_TIMESTAMP(3) + INTERVAL 2 MINUTE WHERE worker = 'events for ranking'"
    ]
  ],
  [
    "a consumer that passes over events to come",
    "consumers",
    ["UPDATE worker_turns SET state = state + 1 WHERE worker = 'events for webhooks'"]
  ],
  [
    "a position that is none",
    "consumers",
    ["UPDATE worker_turns SET state = '1-0' WHERE worker = 'events for webhooks'"]
  ],
  ["a paid order that was never delivered", "deliveries", ["DELETE FROM webhook_deliveries LIMIT 1"]],
  [
    "a paid order that another consumer has set aside, and that was never delivered",
    "deliveries",
    [
      "INSERT INTO set_aside (job, item, reason) SELECT 'events for ranking', event_id, 'x' FROM webhook_deliveries",
      "DELETE FROM webhook_deliveries LIMIT 1"
    ]
  ],
  [
    "a delivery of another amount",
    "delivery bodies",
    ["UPDATE webhook_deliveries SET body = JSON_SET(body, '$.amountMinor', 1) LIMIT 1"]
  ],
  [
    "a delivery of another order",
    "delivery bodies",
    ["UPDATE webhook_deliveries SET body = REPLACE(body, 'orderId\":\"0', 'orderId\":\"1') LIMIT 1"]
  ],
  [
    "a delivery with a space too many",
    "delivery bodies",
    ["UPDATE webhook_deliveries SET body = CONCAT(body, ' ') LIMIT 1"]
  ],
  [
    "a delivery with another topic",
    "delivery bodies",
    ["UPDATE webhook_deliveries SET topic = 'order.refunded' LIMIT 1"]
  ],
  [
    "a delivery of an event of another topic",
    "delivery bodies",
    [
      "UPDATE webhook_deliveries SET event_id = (SELECT MIN(id) FROM outbox WHERE topic = 'order.created') LIMIT 1"
    ]
  ],
  [
    "a delivery of an event that never was",
    "delivery bodies",
    [
      "INSERT INTO webhook_deliveries (event_id, topic, body, status, attempts) SELECT event_id + 1000, topic, body, 'delivered', 1 FROM webhook_deliveries LIMIT 1"
    ]
  ],
  [
    "a delivery of an event that is gone before its time",
    "delivery bodies",
    [
      "UPDATE installation SET outbox_trimmed_before = UTC_TIMESTAMP(3) - INTERVAL 7 DAY",
      "DELETE FROM outbox WHERE id = (SELECT MAX(event_id) FROM webhook_deliveries)"
    ]
  ],
  [
    "a delivery that counts as sent although nobody has tried",
    "delivery state",
    ["UPDATE webhook_deliveries SET status = 'delivered' LIMIT 1"]
  ],
  [
    "a delivery that is due for hours although a server sends",
    "delivery state",
    ["UPDATE webhook_deliveries SET next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 2 HOUR LIMIT 1"]
  ],
  [
    "an order that holds its stock past its deadline although a server looked after it",
    "expiry",
    [
      "UPDATE worker_turns SET last_round_at = UTC_TIMESTAMP(3) + INTERVAL 12 MINUTE WHERE worker = 'outbox relay'"
    ]
  ],
  [
    "a refund of nothing",
    "refunds",
    [
      "UPDATE orders SET status = 'PAID', cancelled_at = NULL, cancel_reason = NULL WHERE id IN (SELECT order_id FROM refunds)"
    ]
  ],
  ["a cancelled order whose points stayed away", "refunds", ["DELETE FROM refunds"]],
  ["a refund that no account got", "refunds", ["DELETE FROM point_ledger WHERE kind = 'refund'"]],
  ["a refund of less than was paid", "refunds", ["UPDATE refunds SET amount_minor = amount_minor - 1"]],
  [
    "a cancelled order that kept its units",
    "reservations",
    [
      "DELETE FROM stock_ledger WHERE kind = 'release'",
      "UPDATE products SET stock = stock - 2 WHERE sku = 'tea'"
    ]
  ],
  [
    "a release that brought a unit too many",
    "stock",
    [
      "UPDATE stock_ledger SET delta = delta + 1 WHERE kind = 'release'",
      "UPDATE products SET stock = stock + 1 WHERE sku = 'tea'"
    ]
  ],
  [
    "an order cancelled for no reason",
    "cancellations",
    ["UPDATE orders SET cancel_reason = NULL WHERE status = 'CANCELLED'"]
  ],
  [
    "an order that expired before its time",
    "cancellations",
    ["UPDATE orders SET cancel_reason = 'expired' WHERE status = 'CANCELLED'"]
  ],
  [
    "an answered order that is not there",
    "answers",
    [
      "UPDATE idempotency_keys SET answer = JSON_SET(answer, '$.success.id', '01900000-0000-7000-8000-000000000000') WHERE procedure_path = 'orders.create'"
    ]
  ],
  [
    "an answered payment that is not there",
    "answers",
    [
      "UPDATE idempotency_keys SET answer = JSON_SET(answer, '$.success.id', '01900000-0000-7000-8000-000000000000') WHERE procedure_path = 'payments.process'"
    ]
  ],
  [
    "an answered charge that is not in the ledger",
    "answers",
    ["UPDATE point_ledger SET kind = 'grant' WHERE kind = 'charge'"]
  ],
  ["points that were spent and not counted", "spent points", ["UPDATE point_accounts SET spent = spent + 1"]],
  [
    "an administrator's action that was blotted out",
    "audit trail",
    ["DELETE FROM audit_trail ORDER BY position DESC LIMIT 1"]
  ],
  [
    "an item that a job fails at again and again",
    "jobs",
    ["INSERT INTO set_aside (job, item, reason, failures) VALUES ('order expiry', 'x', 'broken', 6)"]
  ],
  [
    "a stock below zero",
    "stock",
    [
      "ALTER TABLE products DROP CONSTRAINT products_stock",
      "UPDATE products SET stock = -1 WHERE sku = 'mug'",
      "UPDATE stock_ledger SET delta = -1 WHERE sku = 'mug'"
    ]
  ],
  [
    "a balance below zero",
    "balances",
    [
      "ALTER TABLE point_accounts DROP CONSTRAINT point_accounts_balance",
      "UPDATE point_accounts SET balance = -1 WHERE balance = 0 LIMIT 1"
    ]
  ]
]

/** Only takes events in: no delivery is sent. */
const webhook = {
  url: "http://127.0.0.1:9/never-called",
  secret: Redacted.make("a secret of the tests"),
  formerSecrets: [],
  timeoutMs: 1_000,
  firstRetryMs: 1_000,
  maximumAttempts: 3
}
const intake = webhookJobs(testSettings("mysql://unused", "redis://unused", { webhook })).slice(0, 1)

const keyed = (idempotencyKey: string, user: TestUser) => ({ token: user.token, idempotencyKey })

describe("verify", () => {
  let shop: Shop
  let tables: ReadonlyArray<string>
  beforeAll(async () => {
    shop = await Shop.open()
    await shop.newProduct("tea", 10, 250)
    await shop.newProduct("mug", 10, 100)
    await shop.ok(contract.admin.adjustStock, { sku: "tea", delta: 5, reason: "delivery" }, shop.admin)
    const user = await shop.newUser(1_000)
    const lines = [{ sku: "tea", quantity: 2 }]
    const paid = await shop.ok(contract.orders.create, { lines }, user)
    await shop.ok(contract.payments.process, { orderId: paid.id }, user)
    await shop.ok(contract.orders.create, { lines }, user)
    const undone = await shop.ok(contract.orders.create, { lines }, keyed("undone", user))
    await shop.ok(contract.payments.process, { orderId: undone.id }, keyed("undone", user))
    await shop.ok(contract.orders.cancel, { orderId: undone.id }, keyed("undone", user))
    await shop.ok(contract.points.charge, { amount: 1_000 }, keyed("charge", user))
    await drain(shop.servers[0], outboxRelay, rankingProjector, cacheInvalidator, ...intake)
    tables = await snapshot(shop)
  })
  afterAll(() => shop.stop())

  test("a consistent database passes, and every check has looked at something", async () => {
    const report = await shop.verify()
    expect(report.ok).toBe(true)
    for (const check of [
      "stock",
      "stock ledger",
      "reservations",
      "order totals",
      "order lines",
      "paid orders",
      "payments",
      "charges",
      "balances",
      "point ledger",
      "spent points",
      "accounts",
      "events",
      "outbox",
      "consumers",
      "deliveries",
      "delivery bodies",
      "delivery state",
      "cancellations",
      "refunds",
      "expiry",
      "answers",
      "audit trail"
    ]) {
      expect(
        report.checks.find(({ name }) => name === check),
        check
      ).toMatchObject({ ok: true, problemCount: 0 })
      expect(report.checks.find(({ name }) => name === check)?.checked, check).toBeGreaterThan(0)
    }
    expect(verifyText(report)).toContain("The books are right.")
  })

  test.each(damages)("%s is reported by the check '%s'", async (_name, check, statements) => {
    await restore(shop, tables)
    for (const statement of ["SET FOREIGN_KEY_CHECKS = 0", ...statements]) await onOneConnection(statement)
    const report = await shop.verify()
    expect(report.ok).toBe(false)
    const noticed = report.checks.find(({ name }) => name === check)
    expect(
      noticed?.problemCount,
      JSON.stringify(report.checks.filter((c) => !c.ok).map((c) => c.name))
    ).toBeGreaterThan(0)
    expect(verifyText(report)).toContain("The books are WRONG.")
  })

  /** Foreign keys are disabled per session, so all damage is done on one connection. */
  const onOneConnection = async (statement: string) => {
    const connection = await damaging()
    await connection.query(statement)
  }
  let connection: Awaited<ReturnType<Shop["sql"]["getConnection"]>> | undefined
  const damaging = async () => (connection ??= await shop.sql.getConnection())
  afterAll(() => connection?.release())
})
