import type { RowDataPacket } from "mysql2"
import { expect, test } from "vitest"
import { runJob } from "../../../test/jobs.ts"
import { Shop } from "../../../test/shop.ts"
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
  const clean = async () => {
    await shop.sql.query("UPDATE worker_turns SET last_round_at = NULL WHERE worker = ?", [
      idempotencyKeyCleaner.name
    ])
    await runJob(shop.servers[0], idempotencyKeyCleaner)
  }
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
