import { Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import { createPool, type Pool, type RowDataPacket } from "mysql2/promise"
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest"
import { outboxRelay } from "../platform/outbox/relay.ts"
import { type RunningServer, startServer } from "../server.ts"
import { drain } from "../../test/jobs.ts"
import { testSettings } from "../../test/shop.ts"

describe("migrations", () => {
  let url: URL
  let database: string
  let admin: Pool
  beforeEach(async () => {
    database = `m_${randomUUID().replaceAll("-", "")}`
    url = new URL(inject("mysqlUrl"))
    admin = createPool({ uri: url.href, connectionLimit: 2 })
    await admin.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`)
    url.pathname = `/${database}`
  })
  afterEach(async () => {
    await admin.query(`DROP DATABASE ${database}`)
    await admin.end()
  })

  const start = () => startServer(testSettings(url.href, inject("redisUrl")), { logLevel: "None" })
  const stopAll = (servers: ReadonlyArray<RunningServer>) =>
    Promise.all(servers.map((server) => server.stop()))
  const tables = async () => {
    const [rows] = await admin.query<Array<RowDataPacket>>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1",
      [database]
    )
    return rows.map((row) => row["name"] as string)
  }

  test("six servers that start at once on an empty database all serve, and every migration runs once", async () => {
    const servers = await Promise.all(Array.from({ length: 6 }, start))
    await stopAll(servers)
    const [rows] = await admin.query<Array<RowDataPacket>>(`SELECT name FROM ${database}.kysely_migration`)
    expect(new Set(rows.map((row) => row["name"])).size).toBe(rows.length)
    expect(await tables()).toContain("idempotency_keys")
  })

  test("a start after a half-finished migration adds the missing tables", async () => {
    await stopAll([await start()])
    const complete = await tables()
    await admin.query(`DELETE FROM ${database}.kysely_migration`)
    await admin.query(
      `DROP TABLE ${database}.lock_fences, ${database}.outbox, ${database}.refunds, ${database}.payments`
    )
    await stopAll([await start()])
    expect(await tables()).toEqual(complete)
  })

  test("events that the previous version has published keep their order, and come before those it has not", async () => {
    await stopAll([await start()])
    const outbox = `${database}.outbox`
    await admin.query(`DELETE FROM ${database}.kysely_migration WHERE name >= '0005'`)
    await admin.query(`ALTER TABLE ${outbox} DROP COLUMN sequence, ADD COLUMN stream_id VARCHAR(48) NULL`)
    await admin.query(
      `INSERT INTO ${outbox} (topic, payload, published_at, stream_id) VALUES ('a', '{}', UTC_TIMESTAMP(3), '1-0'),
        ('b', '{}', NULL, NULL), ('c', '{}', UTC_TIMESTAMP(3), '2-0')`
    )
    await admin.query(`INSERT INTO ${database}.worker_turns (worker, state) VALUES ('outbox relay', '2-0')`)
    const server = await start()
    await drain(server, outboxRelay)
    await server.stop()
    const [rows] = await admin.query<Array<RowDataPacket>>(`SELECT topic FROM ${outbox} ORDER BY sequence`)
    expect(rows.map(({ topic }) => topic as string)).toEqual(["a", "c", "b"])
  })

  test("events that the previous version has set aside are set aside still; a start after a crash moves the rest", async () => {
    await stopAll([await start()])
    await admin.query(`DELETE FROM ${database}.kysely_migration WHERE name >= '0009'`)
    await admin.query(
      `CREATE TABLE ${database}.set_aside_events (consumer VARCHAR(64), event_id BIGINT, reason VARCHAR(200),
        attempts INT, next_attempt_at DATETIME(3), created_at DATETIME(3))`
    )
    await admin.query(
      `INSERT INTO ${database}.set_aside_events VALUES ('ranking', 12, 'no', 3, '2026-01-02', '2026-01-01'),
        ('webhooks', 12, 'moved already', 1, '2026-01-02', '2026-01-01')`
    )
    await admin.query(
      `INSERT INTO ${database}.set_aside (job, item, reason) VALUES ('events for webhooks', '12', 'moved')`
    )
    await stopAll([await start()])
    const [rows] = await admin.query<Array<RowDataPacket>>(
      `SELECT job, CAST(item AS CHAR) AS item, reason, failures, CAST(first_failed_at AS CHAR) AS first_failed_at,
        CAST(next_attempt_at AS CHAR) AS next_attempt_at FROM ${database}.set_aside ORDER BY job`
    )
    expect(rows).toMatchObject([
      {
        job: "events for ranking",
        item: "12",
        reason: "no",
        failures: 3,
        first_failed_at: "2026-01-01 00:00:00.000",
        next_attempt_at: "2026-01-02 00:00:00.000"
      },
      { job: "events for webhooks", item: "12", reason: "moved", failures: 1 }
    ])
    expect(await tables()).not.toContain("set_aside_events")
  })

  test("a database of a newer version is refused, and its unknown migrations are named", async () => {
    await stopAll([await start()])
    await admin.query(
      `INSERT INTO ${database}.kysely_migration VALUES ('9999_from_the_future', '2099-01-01T00:00:00.000Z')`
    )
    await expect(start()).rejects.toMatchObject({
      _tag: "DatabaseIsNewer",
      unknownMigrations: ["9999_from_the_future"]
    })
  })

  // Guarantees: what was stored before text had one form is found by that form, also when the migration dies in between.
  test("stored text is brought into its form; a start after a crash continues, and no user is merged", async () => {
    await stopAll([await start()])
    const products = Array.from({ length: 1_201 }, (_, n) => [
      `SKU-${n}`,
      `Caf\u00E9\u2122 ${n}`,
      1,
      1,
      "Cafe\u0301"
    ])
    await admin.query(`INSERT INTO ${database}.products (sku, name, price_minor, stock, category) VALUES ?`, [
      products
    ])
    const users = [
      ["ann@b\u00FCcher.example", 1],
      ["bob@example.com.", 2],
      ["bob@example.com", 3]
    ] as const
    for (const [email, id] of users)
      await admin.query(
        `INSERT INTO ${database}.users (id, email, password_hash, role) VALUES (UNHEX(LPAD(?, 32, '0')), ?, 'x', 'user')`,
        [String(id), email]
      )
    await admin.query(
      `UPDATE ${database}.products SET search_text = 'done before the crash' WHERE sku = 'SKU-7'`
    )
    await admin.query(`DELETE FROM ${database}.kysely_migration WHERE name >= '0007'`)
    await stopAll([await start()])
    const [texts] = await admin.query<Array<RowDataPacket>>(
      `SELECT search_text AS text, COUNT(*) AS n FROM ${database}.products
        WHERE search_text IS NULL OR sku IN ('SKU-7', 'SKU-1200') GROUP BY search_text ORDER BY search_text`
    )
    expect(texts).toEqual([
      { text: "done before the crash", n: 1 },
      { text: "sku-1200 cafetm 1200", n: 1 }
    ])
    const [categories] = await admin.query(`SELECT DISTINCT category FROM ${database}.products`)
    expect(categories).toEqual([{ category: "Caf\u00E9" }])
    const [emails] = await admin.query<Array<RowDataPacket>>(
      `SELECT email FROM ${database}.users ORDER BY id`
    )
    expect(emails.map(({ email }) => email as string)).toEqual([
      "ann@xn--bcher-kva.example",
      "bob@example.com.",
      "bob@example.com"
    ])
  })

  test("a missing database and a wrong password are clear errors without secrets", async () => {
    url.pathname = "/does_not_exist"
    await expect(start()).rejects.toMatchObject({
      _tag: "MigrationFailed",
      message: expect.stringContaining("does_not_exist")
    })
    url.password = "a-wrong-password"
    url.username = "nobody"
    const failure = await start().then(
      () => "no error",
      (reason: Error) => `${reason.message} ${reason.stack} ${JSON.stringify(reason)}`
    )
    expect(failure).toContain("nobody")
    expect(failure).not.toContain("a-wrong-password")
  })

  test("the hand-written tables have exactly the columns of the migrated ones", async () => {
    await stopAll([await start()])
    const [rows] = await admin.query<Array<RowDataPacket>>(
      "SELECT table_name AS t, column_name AS c, is_nullable AS n FROM information_schema.columns WHERE table_schema = ? AND table_name NOT LIKE 'kysely%'",
      [database]
    )
    const migrated = rows.map((row) => `${row["t"]}.${row["c"]}${row["n"] === "YES" ? " | null" : ""}`)
    expect(declaredColumns().toSorted()).toEqual(migrated.toSorted())
  })

  test("printed settings show no secret", () => {
    const settings = testSettings("mysql://u:hunter2@h/d", "redis://h")
    expect(JSON.stringify(settings)).not.toContain("hunter2")
    expect(Redacted.value(settings.mysqlUrl)).toContain("hunter2")
  })
})

/** Reads the `tables.ts` files as text: types are gone at run time, and the files are plain enough. */
const declaredColumns = (): ReadonlyArray<string> => {
  const root = new URL("../", import.meta.url)
  const files = globSync("{platform/db,modules/*}/tables.ts", { cwd: root })
  const source = files.map((file) => readFileSync(new URL(file, root), "utf8")).join("\n")
  const interfaces = (pattern: RegExp) =>
    [...source.matchAll(pattern)].map(([, name, body]) => [name!, body!] as const)
  const fields = (body: string) =>
    [...body.matchAll(/^ +(\w+): (.+)$/gm)].map(([, name, type]) => [name!, type!] as const)
  const rows = new Map(interfaces(/^interface (\w+) \{([^}]*)\}/gm))
  return interfaces(/^ *(?:export )?interface (DB) \{([^}]*)\}/gm)
    .flatMap(([, body]) => fields(body))
    .flatMap(([table, type]) =>
      fields(rows.get(type)!).map(
        ([column, columnType]) => `${table}.${column}${columnType.includes("| null") ? " | null" : ""}`
      )
    )
}
