import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { daylight } from "../../../test/calendar.ts"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import { drain, runJob } from "../../../test/jobs.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { outboxRelay } from "../../platform/outbox/relay.ts"
import { rankingProjector } from "./projector.ts"
import { forgetRanking, rankingReconciler } from "./rebuild.ts"
import { dayOf, rankingKeys } from "./ranking-store.ts"

describe("top sellers", () => {
  let redis: PrivateRedis
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  beforeAll(async () => {
    redis = await startPrivateRedis()
    shop = await Shop.open({ servers: 2, redisUrl: redis.url })
    users = await shop.newUsers(8, 100_000_000)
  })
  beforeEach(() => daylight(90_000))
  afterEach(async () => {
    await settle()
    await shop.expectRightBooks()
  })
  afterAll(async () => {
    await shop.stop()
    await redis.stop()
  })

  let lastProduct = 0
  const newProducts = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        shop.newProduct(`sku-${String(++lastProduct).padStart(3, "0")}`, 100_000, 10)
      )
    )
  const buy = async (sku: string, quantity: number, user = users[0]!) => {
    const order = await shop.ok(contract.orders.create, { lines: [{ sku, quantity }] }, user)
    await shop.ok(contract.payments.process, { orderId: order.id }, user)
    return order.id
  }
  const settle = (server = 0) =>
    drain(shop.servers[server]!, outboxRelay, rankingProjector, rankingReconciler)
  const positions = async () => {
    const [rows] = await shop.sql.query("SELECT state FROM worker_turns WHERE worker = 'events for ranking'")
    return rows as Array<{ state: string }>
  }
  const ranking = async () => {
    const { products } = await shop.ok(contract.products.topSellers, { limit: 100 })
    return products.map(({ sku, unitsSold }) => [sku, unitsSold] as const)
  }
  /** How the ranking must be, by a question of the test's own to the database. */
  const books = async () => {
    const [rows] = await shop.sql.query(
      `SELECT i.sku, CAST(SUM(i.quantity) AS SIGNED) AS units FROM orders o JOIN order_items i ON i.order_id = o.id
       JOIN payments p ON p.order_id = o.id
       WHERE o.status = 'PAID' AND p.created_at >= UTC_DATE() - INTERVAL 2 DAY
       GROUP BY i.sku ORDER BY units DESC, i.sku`
    )
    return (rows as Array<{ sku: string; units: number }>).map(({ sku, units }) => [sku, units] as const)
  }
  const unionOf = async (kind: "sold" | "complete") => {
    const [key] = await redis.client.keys(`*ranking:${dayOf(new Date())}:${kind}`)
    return key
  }

  const foreign = (key: string) => redis.client.del(key).then(() => redis.client.hset(key, "some", "thing"))

  test("what was paid counts, the most first and equal ones by SKU; what was only ordered does not", async () => {
    const [a, b, c] = await newProducts(3)
    await buy(b!, 2)
    await buy(a!, 2)
    await buy(c!, 5)
    await shop.ok(contract.orders.create, { lines: [{ sku: a!, quantity: 90 }] }, users[1])
    await settle()
    expect(await unionOf("complete")).toBeDefined()
    const top = await ranking()
    expect(top).toEqual([
      [c, 5],
      [a, 2],
      [b, 2]
    ])
    expect(top).toEqual(await books())
    const answer = await shop.ok(contract.products.topSellers, { limit: 1 })
    expect(answer).toMatchObject({ to: dayOf(new Date()), products: [{ sku: c, name: c, unitsSold: 5 }] })
  })

  test("a cancelled order does not count any more, and a product without sales is gone from the list", async () => {
    const [gone, less] = await newProducts(2)
    const whole = await buy(gone!, 3)
    const part = await buy(less!, 2)
    await buy(less!, 7)
    await settle()
    for (const orderId of [whole, part]) await shop.ok(contract.orders.cancel, { orderId }, users[0])
    await settle()
    const top = await ranking()
    expect(top).toEqual(await books())
    expect(top.map(([sku]) => sku)).not.toContain(gone)
    expect(top).toContainEqual([less, 7])
  })

  // Guarantees: an event that comes again, because a projector died before it confirmed, counts once.
  test("the same events projected again count once", async () => {
    const [sku] = await newProducts(1)
    await buy(sku!, 4)
    const refunded = await buy(sku!, 9)
    await shop.ok(contract.orders.cancel, { orderId: refunded }, users[0])
    await settle()
    const [last] = await positions()
    await shop.sql.query("UPDATE worker_turns SET state = '0' WHERE worker = 'events for ranking'")
    await eventually(
      async () => {
        await settle(1)
        expect(await positions()).toEqual([last])
      },
      { timeoutMs: 15_000 }
    )
    expect(await ranking()).toEqual(await books())
    expect(await ranking()).toContainEqual([sku, 4])
  })

  test("a refund that is heard of before its payment counts the same", async () => {
    const [sku] = await newProducts(1)
    const orderId = await buy(sku!, 6)
    await shop.ok(contract.orders.cancel, { orderId }, users[0])
    await drain(shop.servers[0], outboxRelay)
    const of = `payload LIKE '%${orderId}%'`
    const [places] = await shop.sql.query(
      `SELECT id, sequence FROM outbox WHERE ${of} AND topic IN ('order.paid', 'order.refunded') ORDER BY id`
    )
    const [paid, refunded] = places as [{ id: number; sequence: number }, { id: number; sequence: number }]
    await shop.sql.query("UPDATE outbox SET sequence = NULL WHERE id IN (?, ?)", [paid.id, refunded.id])
    await shop.sql.query("UPDATE outbox SET sequence = ? WHERE id = ?", [refunded.sequence, paid.id])
    await shop.sql.query("UPDATE outbox SET sequence = ? WHERE id = ?", [paid.sequence, refunded.id])
    await settle()
    expect(await ranking()).toEqual(await books())
  })

  test("sales of the third day back count, those of the day before that do not", async () => {
    const [inside, outside] = await newProducts(2)
    const orders = [await buy(inside!, 11), await buy(outside!, 12)]
    for (const [at, days] of [2, 3].entries()) {
      await shop.sql.query(
        "UPDATE payments SET created_at = UTC_DATE() - INTERVAL ? DAY + INTERVAL 12 HOUR WHERE order_id = UNHEX(?)",
        [days, orders[at]!.replaceAll("-", "")]
      )
    }
    await shop.servers[0].runtime.runPromise(forgetRanking)
    expect(await ranking()).toEqual(await books())
    await settle()
    const top = await ranking()
    expect(top).toEqual(await books())
    expect(top.map(([sku]) => sku)).toContain(inside)
    expect(top.map(([sku]) => sku)).not.toContain(outside)
    // Back to today, so that the books of the other tests stay simple.
    await shop.sql.query("UPDATE payments SET created_at = UTC_TIMESTAMP(3) WHERE created_at < UTC_DATE()")
    await shop.servers[0].runtime.runPromise(forgetRanking)
  })

  test("Redis forgets everything: the answer comes from the books, and the ranking is rebuilt", async () => {
    const [sku] = await newProducts(1)
    await buy(sku!, 8)
    await settle()
    await redis.client.flushall()
    expect(await ranking()).toEqual(await books())
    await buy(sku!, 1)
    await settle()
    expect(await unionOf("complete")).toBeDefined()
    expect(await ranking()).toEqual(await books())
    expect(await ranking()).toContainEqual([sku, 9])
  })

  test("a ranking that was forgotten is rebuilt from the books alone, without any event", async () => {
    const [sku] = await newProducts(1)
    await buy(sku!, 3)
    const refunded = await buy(sku!, 5)
    await shop.ok(contract.orders.cancel, { orderId: refunded }, users[0])
    await settle()
    await shop.servers[0].runtime.runPromise(forgetRanking)
    await runJob(shop.servers[1]!, rankingReconciler)
    expect(await unionOf("complete")).toBeDefined()
    expect(await ranking()).toEqual(await books())
    expect(await ranking()).toContainEqual([sku, 3])
  })

  // Guarantees: a Redis without memory drops keys one by one; what is left of a day is not taken for the whole.
  test.each(["sold", "counted", "complete"] as const)(
    "Redis drops the key '%s' of a day: the answer stays right, and the ranking is rebuilt",
    async (dropped) => {
      const [sku] = await newProducts(1)
      const refunded = await buy(sku!, 2)
      await buy(sku!, 5)
      await settle()
      const keys = rankingKeys(await keyPrefix(), dayOf(new Date()))
      expect(await redis.client.del(keys[dropped])).toBe(1)
      expect(await ranking()).toEqual(await books())
      // What happens meanwhile is counted into a day of which a part is missing.
      await shop.ok(contract.orders.cancel, { orderId: refunded }, users[0])
      await drain(shop.servers[0], outboxRelay, rankingProjector)
      expect(await ranking()).toEqual(await books())
      await runJob(shop.servers[1]!, rankingReconciler)
      expect(await redis.client.exists(keys.sold, keys.counted, keys.complete)).toBe(3)
      expect(await ranking()).toEqual(await books())
      expect(await ranking()).toContainEqual([sku, 5])
    }
  )

  test("of many rebuilds at once, by two processes, one completes the day", async () => {
    await buy((await newProducts(1))[0]!, 4)
    await settle()
    await shop.servers[0].runtime.runPromise(forgetRanking)
    await Promise.all(Array.from({ length: 8 }, (_, n) => runJob(shop.servers[n % 2]!, rankingReconciler)))
    expect(await unionOf("complete")).toBeDefined()
    expect(await ranking()).toEqual(await books())
  })

  test("a rebuild whose process died is begun again when it has been silent for long", async () => {
    await buy((await newProducts(1))[0]!, 4)
    const keys = rankingKeys(await keyPrefix(), dayOf(new Date()))
    await settle()
    await shop.servers[0].runtime.runPromise(forgetRanking)
    await redis.client.set(keys.rebuild, "a process that died", "EX", 60)
    await runJob(shop.servers[1]!, rankingReconciler)
    expect(await unionOf("complete")).toBeUndefined()
    expect(await ranking()).toEqual(await books())
    await redis.client.pexpire(keys.rebuild, 1)
    await eventually(async () => {
      await runJob(shop.servers[1]!, rankingReconciler)
      expect(await unionOf("complete")).toBeDefined()
    })
  })

  test("Redis forgets in the middle of a rebuild: the day is not called complete", async () => {
    await buy((await newProducts(1))[0]!, 1)
    await redis.client.flushall()
    const { client } = redis
    const rebuilding = runJob(shop.servers[0], rankingReconciler)
    const prefix = await keyPrefix()
    while ((await client.exists(rankingKeys(prefix, dayOf(new Date())).rebuild)) === 0) await client.ping()
    await client.flushall()
    await rebuilding
    const day = dayOf(new Date())
    const keys = rankingKeys(prefix, day)
    // Either the rebuild saw the loss, or the flush came after its end; a complete day without its counts is neither.
    if ((await client.exists(keys.complete)) === 1)
      expect(await client.zcount(keys.sold, "-inf", "(0")).toBeGreaterThan(0)
    await settle()
    expect(await ranking()).toEqual(await books())
  })
  const keyPrefix = async () => {
    const [row] = (
      await shop.sql.query("SELECT LOWER(HEX(RIGHT(id, 8))) AS name FROM installation")
    )[0] as Array<{
      name: string
    }>
    return `holdfast:{${row!.name}}:`
  }

  // Guarantees: false data in Redis is not shown, stops no consumer, and is replaced by what the books say.
  test.each<[lie: string, tell: (keys: ReturnType<typeof rankingKeys>, sku: string) => Promise<unknown>]>([
    ["counts of another type", ({ sold }) => foreign(sold)],
    ["a set of counted sales of another type", ({ counted }) => foreign(counted)],
    ["a mark of another type", ({ complete }) => foreign(complete)],
    [
      "a rebuild of another type, for ever",
      ({ complete, rebuild }) => redis.client.del(complete).then(() => foreign(rebuild))
    ],
    [
      "a rebuild that never ends",
      ({ complete, rebuild }) => redis.client.del(complete).then(() => redis.client.set(rebuild, "a mark"))
    ],
    ["a product that cannot be", ({ sold }) => redis.client.zadd(sold, -1e6, "no, SKU")],
    ["units without end", ({ sold }, sku) => redis.client.zadd(sold, "-inf", sku)],
    ["half a unit", ({ sold }, sku) => redis.client.zadd(sold, -0.5, sku)],
    [
      "false units of a day that is complete for ever",
      ({ complete, sold }, sku) =>
        redis.client.zadd(sold, -1e6, sku).then(() => redis.client.persist(complete))
    ],
    [
      "false units of a day that is complete for years",
      ({ complete, sold }, sku) =>
        redis.client.zadd(sold, -1e6, sku).then(() => redis.client.expire(complete, 1e8))
    ]
  ])("a lie about the ranking: %s", async (_lie, tell) => {
    const [sku] = await newProducts(1)
    await buy(sku!, 4)
    await settle()
    const soldKey = await unionOf("sold")
    await tell(rankingKeys(soldKey!.split("ranking:")[0]!, dayOf(new Date())), sku!)
    expect(await ranking()).toEqual(await books())
    await buy(sku!, 3)
    await settle(1)
    expect(await ranking()).toEqual(await books())
    expect(await redis.client.type((await unionOf("complete"))!)).toBe("string")
    expect(await redis.client.ttl((await unionOf("complete"))!)).toBeLessThanOrEqual(3_600)
    expect(await redis.client.zscore((await unionOf("sold"))!, sku!)).toBe("-7")
  })

  test("a ranking is counted anew at least every hour", async () => {
    const [sku] = await newProducts(1)
    await buy(sku!, 4)
    await settle()
    await redis.client.zadd((await unionOf("sold"))!, -1e6, sku!)
    const complete = (await unionOf("complete"))!
    expect(await redis.client.ttl(complete)).toBeLessThanOrEqual(3_600)
    // As after that time.
    await redis.client.del(complete)
    await settle()
    expect(await ranking()).toEqual(await books())
  })

  test("Redis is gone: the answer comes from the books", async () => {
    await buy((await newProducts(1))[0]!, 3)
    await redis.service.kill()
    expect(await ranking()).toEqual(await books())
    await redis.service.restart()
    for (const server of [0, 1]) await eventually(() => settle(server), { timeoutMs: 20_000 })
  })

  // Known from comparable systems: ranking by read-then-write loses updates.
  test(
    "200 sales and 60 refunds at once, projected by two processes that also rebuild: no update is lost",
    { timeout: 120_000 },
    async () => {
      const skus = await newProducts(5)
      const sale = { isOver: false }
      const projecting = [0, 1].map(async (server) => {
        while (!sale.isOver) {
          await runJob(shop.servers[server]!, outboxRelay)
          await runJob(shop.servers[server]!, rankingProjector)
          await runJob(shop.servers[server]!, rankingReconciler)
        }
      })
      const forgetting = (async () => {
        while (!sale.isOver) {
          await shop.servers[0].runtime.runPromise(forgetRanking)
          await new Promise((resolve) => setTimeout(resolve, 150))
        }
      })()
      await Promise.all(
        users.map(async (user, index) => {
          for (let n = 0; n < 25; n++) {
            const orderId = await buy(skus[(index + n) % 5]!, (n % 7) + 1, user)
            if (n % 3 === 0) await shop.ok(contract.orders.cancel, { orderId }, user)
          }
        })
      )
      sale.isOver = true
      await Promise.all([...projecting, forgetting])
      await settle()
      expect(await unionOf("complete")).toBeDefined()
      expect(await ranking()).toEqual(await books())
    }
  )

  test.each([
    ["a unit too many", (key: string) => redis.client.zincrby(key, -1, "sku-001")],
    ["a product that lost its count", (key: string) => redis.client.zrem(key, "sku-001")],
    [
      "a sale that nobody counted",
      async (key: string) => {
        const counted = await redis.client.smembers(key.replace(":sold", ":counted"))
        await redis.client.srem(
          key.replace(":sold", ":counted"),
          counted.find((name) => name.endsWith("+"))!
        )
      }
    ],
    [
      "a sale that never was",
      (key: string) =>
        redis.client.sadd(key.replace(":sold", ":counted"), "01900000-0000-7000-8000-000000000000+")
    ]
  ])("the audit notices %s", async (_name, damage) => {
    await shop.servers[0].runtime.runPromise(forgetRanking)
    await shop.sql.query("UPDATE payments SET created_at = UTC_DATE() WHERE created_at >= UTC_DATE()")
    await settle()
    await damage((await unionOf("sold"))!)
    const report = await shop.verify()
    expect(report.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(["ranking"])
    await shop.servers[0].runtime.runPromise(forgetRanking)
  })
})
