import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import {
  claimRedisDatabase,
  databaseFactory,
  startServices,
  type ClaimedDatabase,
  type Services
} from "../../src/index.ts"
import { TemplateFailed } from "../../src/services/index.ts"
import { ownTemporaryBase, query, withClient } from "./support.ts"

const temporary = ownTemporaryBase()
let services: Services
beforeAll(async () => {
  services = await startServices()
}, 240_000)
afterAll(async () => {
  await services?.stop()
  temporary.remove()
})

let migrations: string
let version = 0
beforeEach(() => {
  migrations = mkdtempSync(join(tmpdir(), "migrations-"))
  writeFileSync(join(migrations, "1.sql"), `-- ${version++}`)
  return () => rmSync(migrations, { recursive: true, force: true })
})

/** A schema with everything that a copy can get wrong. */
const migrate = async (url: string) => {
  await query(
    url,
    "CREATE TABLE b_parent (id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL) AUTO_INCREMENT = 100"
  )
  await query(
    url,
    `CREATE TABLE a_child (id BINARY(16) PRIMARY KEY, parent BIGINT NOT NULL, amount DECIMAL(20,4) NOT NULL,
       doubled DECIMAL(21,4) AS (amount * 2) STORED, at DATETIME(6) NULL, note JSON NULL, CHECK (amount >= 0),
       CONSTRAINT fk FOREIGN KEY (parent) REFERENCES b_parent (id))`
  )
  await query(url, "CREATE TABLE log (line VARCHAR(100) NOT NULL)")
  await query(url, "CREATE VIEW z_base AS SELECT id, name FROM b_parent")
  await query(url, "CREATE VIEW a_view AS SELECT name FROM z_base")
  await query(url, "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2")
  await query(
    url,
    "CREATE TRIGGER no_delete BEFORE DELETE ON a_child FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'kept'"
  )
}

const seed = async (url: string) => {
  await query(url, "INSERT INTO b_parent (id, name) VALUES (1, 'one'), (7, 'sevén')")
}

describe("a database from a template", () => {
  test("has tables that reference each other in a cycle", async () => {
    const circle = async (url: string) => {
      await query(url, "CREATE TABLE team (id INT PRIMARY KEY, lead_id INT NULL)")
      await query(
        url,
        "CREATE TABLE person (id INT PRIMARY KEY, team_id INT NULL, CONSTRAINT member FOREIGN KEY (team_id) REFERENCES team (id))"
      )
      await query(url, "ALTER TABLE team ADD CONSTRAINT led FOREIGN KEY (lead_id) REFERENCES person (id)")
    }
    const factory = await databaseFactory(services.sql, { migrate: circle, migrations })
    const { url } = await factory.create()
    await query(url, "INSERT INTO team VALUES (1, NULL)")
    await expect(query(url, "INSERT INTO person VALUES (1, 2)")).rejects.toThrow(/foreign key/i)
    await query(url, "INSERT INTO person VALUES (1, 1)")
    await expect(query(url, "UPDATE team SET lead_id = 9")).rejects.toThrow(/foreign key/i)
  })

  test("has the schema, the rows, the views, the routines and the triggers", async () => {
    const factory = await databaseFactory(services.sql, { migrate, seed, migrations })
    const database = await factory.create()
    expect(await query(database.url, "SELECT id, name FROM b_parent ORDER BY id")).toEqual([
      { id: 1, name: "one" },
      { id: 7, name: "sevén" }
    ])
    expect(await query(database.url, "SELECT name FROM a_view ORDER BY name")).toEqual([
      { name: "one" },
      { name: "sevén" }
    ])
    expect(await query(database.url, "SELECT twice(21) AS n")).toEqual([{ n: 42 }])
    await query(
      database.url,
      "INSERT INTO a_child (id, parent, amount) VALUES (UNHEX(REPEAT('ab', 16)), 7, 1.5)"
    )
    expect(await query(database.url, "SELECT doubled FROM a_child")).toEqual([{ doubled: "3.0000" }])
    await expect(query(database.url, "DELETE FROM a_child")).rejects.toThrow(/kept/)
    await expect(
      query(database.url, "INSERT INTO a_child (id, parent, amount) VALUES (UNHEX(REPEAT('cd', 16)), 8, 1)")
    ).rejects.toThrow(/foreign key/i)
    await database.drop()
    expect(await query(services.sql.url(), `SHOW DATABASES LIKE '${database.name}'`)).toEqual([])
  })

  test("is a new one each time, isolated from the others", async () => {
    const factory = await databaseFactory(services.sql, { migrate, seed, migrations })
    const [one, two] = await Promise.all([factory.create(), factory.create()])
    await query(one.url, "DELETE FROM b_parent")
    expect(await query(two.url, "SELECT COUNT(*) AS n FROM b_parent")).toEqual([{ n: 2 }])
    await Promise.all([one.drop(), two.drop()])
  })

  test("is migrated once while the migrations stay the same, by the first process", async () => {
    let migrated = 0
    const counting = (url: string) => {
      migrated++
      return migrate(url)
    }
    const make = () => databaseFactory(services.sql, { migrate: counting, migrations })
    await Promise.all([make(), make(), make()])
    expect(migrated).toBe(1)
    writeFileSync(join(migrations, "2.sql"), "-- more")
    await make()
    expect(migrated).toBe(2)
  })

  test("reports the failed step, leaves nothing behind, and is retried", async () => {
    const broken = databaseFactory(services.sql, { migrate: (url) => query(url, "CREATE TABLE"), migrations })
    await expect(broken).rejects.toBeInstanceOf(TemplateFailed)
    await expect(broken).rejects.toThrow(/migrate of the template database failed: .*syntax/)
    const seeded = databaseFactory(services.sql, {
      migrate,
      seed: () => Promise.reject(new Error("no seed")),
      migrations
    })
    await expect(seeded).rejects.toMatchObject({ step: "seed" })
    await databaseFactory(services.sql, { migrate, migrations })
  })
})

describe("cleaning", () => {
  const rows = (url: string, table: string) => query(url, `SELECT * FROM ${table}`)

  test("restores only what a test changed: rows, counters, seeds", async () => {
    const factory = await databaseFactory(services.sql, { migrate, seed, migrations })
    const database = await factory.create()
    const before = await rows(database.url, "b_parent")
    expect(await database.clean()).toEqual([])

    await query(database.url, "INSERT INTO log VALUES ('x')")
    expect(await database.clean()).toEqual(["log"])
    expect(await rows(database.url, "log")).toEqual([])

    await query(database.url, "UPDATE b_parent SET name = 'uno' WHERE id = 1")
    expect(await database.clean()).toEqual(["b_parent"])
    expect(await rows(database.url, "b_parent")).toEqual(before)
    expect(await database.clean()).toEqual([])

    // Only the counter reveals the row that was inserted.
    await query(database.url, "INSERT INTO b_parent (name) VALUES ('two')")
    const [made] = await query(database.url, "SELECT MAX(id) AS id FROM b_parent")
    await query(database.url, "DELETE FROM b_parent WHERE name = 'two'")
    expect(await database.clean()).toEqual(["b_parent"])
    await query(database.url, "INSERT INTO b_parent (name) VALUES ('two')")
    expect(await query(database.url, "SELECT MAX(id) AS id FROM b_parent")).toEqual([{ id: made?.["id"] }])
    await database.drop()
  })

  test("empties a table whose trigger forbids deletion, and parents before their children", async () => {
    const database = await (await databaseFactory(services.sql, { migrate, seed, migrations })).create()
    await query(database.url, "INSERT INTO b_parent (id, name) VALUES (9, 'nine')")
    await query(
      database.url,
      "INSERT INTO a_child (id, parent, amount) VALUES (UNHEX(REPEAT('ab', 16)), 9, 1)"
    )
    expect(await database.clean()).toEqual(["a_child", "b_parent"])
    expect(await rows(database.url, "a_child")).toEqual([])
    expect(await rows(database.url, "b_parent")).toHaveLength(2)
    await database.drop()
  })

  test("recreates the database when a test changed its tables", async () => {
    const database = await (await databaseFactory(services.sql, { migrate, seed, migrations })).create()
    await query(database.url, "DROP TABLE log")
    await query(database.url, "CREATE TABLE stray (id INT)")
    await database.clean()
    expect(await rows(database.url, "log")).toEqual([])
    await expect(rows(database.url, "stray")).rejects.toThrow(/exist/)
    expect(await database.clean()).toEqual([])
    await database.drop()
  })

  test("fails instead of hanging when a test left a transaction open", async () => {
    const database = await (await databaseFactory(services.sql, { migrate, migrations })).create()
    const { createConnection } = await import("mysql2/promise")
    const open = await createConnection({ uri: database.url })
    await open.query("INSERT INTO log VALUES ('committed')")
    await open.query("START TRANSACTION")
    await open.query("UPDATE log SET line = 'held'")
    await expect(database.clean()).rejects.toThrow(/lock wait timeout/i)
    open.destroy()
    await database.drop()
  }, 30_000)
})

describe("a claimed Redis database", () => {
  test("has one owner at a time, starts empty, and is released", async () => {
    const url = (index: number) => services.redis.url(index)
    const [one, two] = await Promise.all([claimRedisDatabase(url), claimRedisDatabase(url)])
    expect(one.index).not.toBe(two.index)
    expect(Math.min(one.index, two.index)).toBeGreaterThan(0)
    await withClient(url(one.index), (client) => client.set("key", "one"))
    await withClient(url(two.index), (client) => client.set("key", "two"))
    await one.flush()
    expect(await withClient(url(one.index), (client) => client.get("key"))).toBeNull()
    expect(await withClient(url(two.index), (client) => client.get("key"))).toBe("two")
    await one.release()
    const third = await claimRedisDatabase(url)
    expect(third.index).toBe(one.index)
    await Promise.all([two.release(), third.release()])
  })

  test("is refused when all are taken", async () => {
    const url = (index: number) => services.redis.url(index)
    const claims: Array<ClaimedDatabase> = []
    // Redis has 16 databases by default, this server 64; other processes may hold some of them.
    const claimAll = async () => {
      for (let claimed = 0; claimed < 64; claimed++) claims.push(await claimRedisDatabase(url))
    }
    const refusal: unknown = await claimAll().catch((error: unknown) => error)
    expect(refusal).toMatchObject({ _tag: "NoRedisDatabaseFree" })
    await Promise.all(claims.map((claim) => claim.release()))
  })
})
