import { contract } from "@holdfast/domain"
import { listenForErrors } from "@holdfast/locks"
import { eventually, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { createConnection } from "mysql2/promise"
import { Redacted } from "effect"
import { globSync, readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { leastPrivilegedRedis, leastPrivilegedSql, ops } from "../test/least-privilege.ts"
import { newCoupon } from "../test/sale.ts"
import { makeRawClient } from "../test/raw-client.ts"
import { Shop } from "../test/shop.ts"

/** The privileges that `grants.sql` gives, by table. */
const granted = new Map(
  [...ops("sql/grants.sql").matchAll(/^GRANT ([A-Z, ]+) ON holdfast\.(\w+) /gm)].map(
    ([, privileges, table]) => [table!, privileges!.split(", ").toSorted()]
  )
)

/** The privileges that the statements of the sources need, by table. */
const needed = (): ReadonlyMap<string, ReadonlyArray<string>> => {
  const sources = globSync(["src/{modules,platform}/**/*.ts", "../locks/src/fencing.ts"], {
    cwd: new URL("..", import.meta.url)
  }).filter((file) => !file.endsWith("test.ts"))
  const text = sources.map((file) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8"))
  const needs = new Map<string, Set<string>>()
  const add = (privilege: string, statement: RegExp, from = text) => {
    for (const source of from)
      for (const [, table] of source.matchAll(statement)) {
        if (!granted.has(table!) && !/^[a-z]+_?[a-z]*s?$/.test(table!)) continue
        needs.set(table!, (needs.get(table!) ?? new Set()).add(privilege))
      }
  }
  add("INSERT", /insertInto\("(\w+)"\)/g)
  add("INSERT", /insert (?:ignore )?into (\w+) \(/gi)
  add("UPDATE", /updateTable\("(\w+)"\)/g)
  add("UPDATE", /\bupdate (\w+) set\b/gi)
  add("UPDATE", /insert into (\w+) \((?:(?!`)[^])*?on duplicate key update/gi)
  add("UPDATE", /selectFrom\("(\w+)"\)(?:(?!selectFrom)[^])*?\.forUpdate\(\)/g)
  add("DELETE", /deleteFrom\("(\w+)"\)/g)
  add("DELETE", /delete from (\w+)/gi)
  add("DELETE", /delete \w from \(\s*select [\w, ]+\s+from (\w+)/g)
  const selected = [...needs.keys()].concat("kysely_migration", "kysely_migration_lock")
  return new Map(selected.map((table) => [table, [...(needs.get(table) ?? []), "SELECT"].toSorted()]))
}

// Guarantees: the file grants what the statements of the sources need, table by table, and nothing more.
test("no grant is missing, and none is superfluous", () => {
  expect(Object.fromEntries(granted)).toEqual(Object.fromEntries(needed()))
})

/** What a client needs to log in, to be one of several, and to run scripts and transactions. */
const CONNECTION =
  /^(auth|hello|asking|cluster\|\w+|client|eval|evalsha|script\|load|multi|exec|quit|select|subscribe|unsubscribe)$/

// Guarantees: the file allows no command that the sources never send.
test("no command of Redis is allowed without need", () => {
  const text = globSync(["src/**/*.ts", "../locks/src/**/*.ts"], {
    cwd: new URL("..", import.meta.url)
  })
    .filter((file) => !file.endsWith("test.ts"))
    .map((file) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8"))
    .join("\n")
  const allowed = [...ops("redis/users.acl").matchAll(/ \+(\S+)/g)].map(([, command]) => command!)
  const unused = allowed.filter(
    (command) =>
      !CONNECTION.test(command) && !new RegExp(`call\\(["']${command}["']|\\.${command}\\(`, "i").test(text)
  )
  expect(unused).toEqual([])
})

// Guarantees: a server needs no more than the two files give, and with that it can destroy nothing.
test("a shop runs as the users of ops/", async () => {
  await using services = await startServices()
  await using shop = await Shop.open({ mysqlUrl: services.sql.url(), redisUrl: services.redis.url() })
  const mysqlUrl = await leastPrivilegedSql(shop.sql, services.sql.url(shop.database))
  const redisUrl = await leastPrivilegedRedis(services.redis.url())
  const server = await shop.openBeside({
    mysqlUrl: Redacted.make(mysqlUrl),
    redisUrl: Redacted.make(redisUrl),
    workers: true,
    cache: { freshMs: 5_000, staleMs: 30_000 }
  })
  const call = makeRawClient(server.url)

  const user = await shop.newUser(10_000)
  const sku = await shop.newProduct("least", 10)
  const { id: couponId } = await newCoupon(shop, { quantity: 2 })
  const lines = [{ sku, quantity: 1 }]
  const ids: Array<string> = []
  for (let n = 0; n < 2; n += 1) {
    const order = await call(contract.orders.create, { lines }, user)
    expect(order).toMatchObject({ ok: true })
    if (order.ok) ids.push(order.value.id)
  }
  for (const answer of [
    await call(contract.auth.register, { email: "new@shop.test", password: "a password" }),
    await call(contract.auth.login, { email: "new@shop.test", password: "a password" }),
    await call(contract.payments.process, { orderId: ids[0]! }, user),
    await call(contract.orders.cancel, { orderId: ids[1]! }, user),
    await call(contract.coupons.issue, { couponId }, user),
    await call(contract.points.charge, { amount: 1_000 }, user),
    await call(contract.points.balance, {}, user),
    await call(contract.products.topSellers, {}),
    await call(contract.admin.adjustStock, { sku, delta: 1, reason: "count" }, shop.admin)
  ])
    expect(answer).toMatchObject({ ok: true })
  await eventually(async () => {
    const [rows] = await shop.sql.query("SELECT 1 FROM outbox WHERE published_at IS NULL")
    expect(rows).toEqual([])
  })

  const administrator = listenForErrors(new Redis(services.redis.url()))
  expect(await administrator.call("ACL", "LOG")).toEqual([])
  administrator.disconnect()
  await shop.expectRightBooks()

  const connection = await createConnection(mysqlUrl)
  for (const statement of [
    "DROP TABLE orders",
    "ALTER TABLE orders ADD COLUMN x INT",
    "CREATE TABLE x (id INT)",
    "TRUNCATE point_ledger",
    "DELETE FROM orders",
    "UPDATE point_ledger SET delta = 1",
    "DELETE FROM stock_ledger",
    "UPDATE payments SET amount_minor = 0",
    "SELECT * FROM mysql.user"
  ])
    await expect(connection.query(statement), statement).rejects.toMatchObject({
      code: expect.stringMatching(/DENIED/)
    })
  await connection.end()
  const stranger = listenForErrors(new Redis(redisUrl))
  for (const command of [["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["GET", "another:key"]])
    await expect(stranger.call(...(command as [string])), command.join(" ")).rejects.toThrow(/NOPERM/)
  stranger.disconnect()
}, 120_000)
