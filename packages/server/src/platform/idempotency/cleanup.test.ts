import { Redacted } from "effect"
import type { RowDataPacket } from "mysql2"
import { expect, test } from "vitest"
import { runJob } from "../../../test/jobs.ts"
import { Shop, testSettings } from "../../../test/shop.ts"
import { jobsOf } from "../../jobs.ts"
import { idempotencyKeyCleaner } from "./cleanup.ts"

// Guarantees: a key that another transaction holds keeps no other from being deleted.
test("old keys are deleted while a transaction holds one of them, and that one later; young keys stay", async () => {
  await using shop = await Shop.open()
  const insert = (key: string, days: number) =>
    shop.sql.query(
      `INSERT INTO idempotency_keys (user_id, procedure_path, idempotency_key, fingerprint, answer, created_at)
        VALUES (UNHEX(REPEAT('0', 32)), 'test', ?, UNHEX(REPEAT('0', 64)), '{}', UTC_TIMESTAMP(3) - INTERVAL ? DAY)`,
      [key, days]
    )
  // The tests' retention is a week.
  for (const [key, days] of [
    ["a", 9],
    ["held", 10],
    ["b", 8],
    ["young", 6]
  ] as const)
    await insert(key, days)
  const keys = async () => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT idempotency_key FROM idempotency_keys WHERE procedure_path = 'test' ORDER BY 1"
    )
    return rows.map((row) => row["idempotency_key"] as string)
  }
  const clean = () => runJob(shop.servers[0], idempotencyKeyCleaner)
  const holder = await shop.sql.getConnection()
  await holder.query("BEGIN")
  await holder.query(
    `SELECT * FROM idempotency_keys WHERE user_id = UNHEX(REPEAT('0', 32)) AND procedure_path = 'test'
      AND idempotency_key = 'held' FOR UPDATE`
  )
  try {
    const startedAtMs = performance.now()
    await clean()
    expect(performance.now() - startedAtMs).toBeLessThan(2_000)
    expect(await keys()).toEqual(["held", "young"])
  } finally {
    await holder.query("ROLLBACK")
    holder.release()
  }
  await clean()
  expect(await keys()).toEqual(["young"])
})

// Guarantees: however many rows grow old in a second, the next run follows until none is left.
test("a run that has deleted a whole batch is followed by the next at once, in every cleaner", async () => {
  const webhook = {
    url: "http://127.0.0.1:9/never-called",
    secret: Redacted.make("a secret of the tests"),
    formerSecrets: [],
    timeoutMs: 1_000,
    firstRetryMs: 1_000,
    maximumAttempts: 3
  }
  const cleaners = jobsOf(testSettings("mysql://unused", "redis://unused", { webhook })).filter(({ name }) =>
    /cleaner|trimmer/.test(name)
  )
  expect(cleaners.map(({ batch, name }) => [name, (batch ?? 1) >= 1_000])).toEqual([
    ["webhook cleaner", true],
    ["outbox trimmer", true],
    ["idempotency key cleaner", true],
    ["session cleaner", true],
    ["ticket cleaner", true],
    ["set-aside cleaner", true],
    ["fence cleaner", true]
  ])

  await using shop = await Shop.open()
  await shop.sql.query(
    `INSERT INTO idempotency_keys (user_id, procedure_path, idempotency_key, fingerprint, answer, created_at)
      WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
      SELECT UNHEX(REPEAT('0', 32)), 'test', CONCAT(a.n, '-', b.n), UNHEX(REPEAT('0', 64)), '{}',
        UTC_TIMESTAMP(3) - INTERVAL 9 DAY FROM numbers a JOIN numbers b ON b.n <= 11`
  )
  const deleted: Array<number> = []
  while (deleted.at(-1) !== 0) deleted.push(await runJob(shop.servers[0], idempotencyKeyCleaner))
  expect(deleted).toEqual([5_000, 5_000, 1_000, 0])
})
