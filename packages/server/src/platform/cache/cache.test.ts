import { contract } from "@holdfast/domain"
import { eventually } from "@holdfast/testkit"
import { Effect, Schema } from "effect"
import { createHmac } from "node:crypto"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { cacheInvalidator } from "../../cache-invalidation.ts"
import { type PrivateRedis, startPrivateRedis } from "../../../test/private-redis.ts"
import type { RunningServer } from "../../server.ts"
import { drain } from "../../../test/jobs.ts"
import { Shop, type TestUser } from "../../../test/shop.ts"
import { outboxRelay } from "../outbox/relay.ts"
import { Cache, invalidate } from "./cache.ts"
import type { CacheKey } from "./entries.ts"

const FRESH_MS = 3_600_000

/** What somebody can write who knows the format and not the secret. */
const forgedEntry = async (version: string, value: unknown): Promise<string> => {
  const json = JSON.stringify({ version, freshUntilMs: 9e15, validUntilMs: 9e15, value })
  return createHmac("sha256", "a guess").update(json).digest("base64url") + json
}

describe("the cache", () => {
  let redis: PrivateRedis
  let shop: Shop
  let beside: RunningServer
  /** Whatever this server writes is stale at once. */
  let hasty: RunningServer
  let user: TestUser
  beforeAll(async () => {
    redis = await startPrivateRedis()
    shop = await Shop.open({
      servers: 2,
      redisUrl: redis.url,
      settings: { cache: { freshMs: FRESH_MS, staleMs: FRESH_MS } }
    })
    beside = await shop.openBeside()
    hasty = await shop.openBeside({ cache: { freshMs: 0, staleMs: FRESH_MS } })
    user = await shop.newUser(1_000_000)
  })
  afterEach(() => shop.expectRightBooks())
  afterAll(async () => {
    await shop.stop()
    await redis.stop()
  })

  /** Runs on the first server (0), on the one beside it (1), or on the hasty one (2). */
  const run = <A, E>(effect: Effect.Effect<A, E, Cache>, server = 0) =>
    [shop.servers[0], beside, hasty][server]!.runtime.runPromise(effect)
  const get = (keys: ReadonlyArray<CacheKey>, load: () => Promise<Record<string, unknown>>, server = 0) =>
    run(
      Cache.use((cache) =>
        cache.getMany(Schema.Unknown, keys, () =>
          Effect.map(Effect.promise(load), (values) => new Map(Object.entries(values)))
        )
      ),
      server
    )
  const key = (name: string): CacheKey => ({ name, tag: `tag of ${name}` })
  const order = (sku: string, buyer = user) =>
    shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, buyer)

  describe("in the shop", () => {
    test("lists, products and balances show a caller's own writes at once, on every server", async () => {
      const sku = await shop.newProduct("own", 100, 10)
      const listed = async () =>
        (await shop.ok(contract.products.page, { limit: 100 })).items.find((item) => item.sku === sku)?.stock
      for (let n = 1; n <= 20; n++) {
        expect(await listed()).toBe(100 - n + 1)
        const { id } = await order(sku)
        expect(await listed()).toBe(100 - n)
        expect(await shop.stockOf(sku)).toBe(100 - n)
        const before = (await shop.ok(contract.points.balance, {}, user)).balance
        await shop.ok(contract.payments.process, { orderId: id }, user)
        expect(await shop.ok(contract.points.balance, {}, user)).toEqual({ balance: before - 10 })
      }
      const last = await order(sku)
      await shop.ok(contract.orders.cancel, { orderId: last.id }, user)
      expect(await listed()).toBe(80)
      await shop.ok(contract.admin.adjustStock, { sku, delta: 5, reason: "delivery" }, shop.admin)
      expect(await listed()).toBe(85)
      const other = await shop.newProduct("own-2", 7)
      const { items } = await shop.ok(contract.products.page, { limit: 100 })
      expect(items.find((item) => item.sku === other)?.stock).toBe(7)
    })

    test("8 readers never see more stock than 8 concurrent buyers had left when the read began", async () => {
      const sku = await shop.newProduct("linear", 1_000, 10)
      const buyers = await shop.newUsers(8)
      let sold = 0
      const sale = { isOver: false }
      const readers = Array.from({ length: 8 }, async () => {
        let reads = 0
        while (!sale.isOver) {
          const leftAtMost = 1_000 - sold
          expect(await shop.stockOf(sku)).toBeLessThanOrEqual(leftAtMost)
          reads += 1
        }
        return reads
      })
      await Promise.all(
        buyers.map(async (buyer) => {
          for (let n = 0; n < 20; n++) {
            await order(sku, buyer)
            sold += 1
          }
        })
      )
      sale.isOver = true
      expect((await Promise.all(readers)).every((reads) => reads > 0)).toBe(true)
      expect(await shop.stockOf(sku)).toBe(1_000 - 160)
    })

    test("asking for what does not exist leaves no keys behind", async () => {
      await shop.stockOf(await shop.newProduct("known", 1))
      const keys = () => redis.client.dbsize()
      await shop.ok(contract.products.page, {})
      const before = await keys()
      for (let n = 0; n < 20; n += 1) {
        expect(await shop.call(contract.products.bySku, { sku: `unknown ${n}` })).toMatchObject({ ok: false })
        expect((await shop.ok(contract.products.page, { category: `unknown ${n}` })).items).toEqual([])
        const cursor = Buffer.from(JSON.stringify({ sku: `a${n}` })).toString("base64url")
        await shop.ok(contract.products.page, { cursor, limit: 1 })
      }
      // The one page after a cursor may have brought one more product.
      expect(await keys()).toBeLessThanOrEqual(before + 2)
    })

    test("the event invalidates for a process that died between its commit and the invalidation", async () => {
      const sku = await shop.newProduct("late", 10)
      expect(await shop.stockOf(sku)).toBe(10)
      await drain(shop.servers[0], outboxRelay, cacheInvalidator)
      expect(await shop.stockOf(sku)).toBe(10)
      const connection = await shop.sql.getConnection()
      await connection.beginTransaction()
      await connection.query("UPDATE products SET stock = 9 WHERE sku = ?", [sku])
      await connection.query(
        "INSERT INTO stock_ledger (sku, delta, kind, reason) VALUES (?, -1, 'adjustment', 'a dying process')",
        [sku]
      )
      await connection.query("INSERT INTO outbox (topic, payload) VALUES ('stock.adjusted', ?)", [
        JSON.stringify({ skus: [sku] })
      ])
      await connection.commit()
      connection.release()
      expect(await shop.stockOf(sku)).toBe(10)
      await drain(shop.servers[0], outboxRelay, cacheInvalidator)
      expect(await shop.stockOf(sku)).toBe(9)
    })

    test("an event that changes more products than Redis takes within the deadline is handled", async () => {
      const skus = Array.from({ length: 200_000 }, (_, n) => `sku-${n}`)
      await shop.sql.query("INSERT INTO outbox (topic, payload) VALUES ('stock.adjusted', ?)", [
        JSON.stringify({ skus })
      ])
      await drain(shop.servers[0], outboxRelay, cacheInvalidator)
      const [rows] = await shop.sql.query(
        "SELECT (SELECT MAX(sequence) FROM outbox) - state AS behind FROM worker_turns WHERE worker = 'events for cache'"
      )
      expect(rows).toEqual([{ behind: 0 }])
    })

    test("without Redis, everything is read from the database", async () => {
      const sku = await shop.newProduct("without", 10)
      expect(await shop.stockOf(sku)).toBe(10)
      await redis.service.kill()
      await order(sku)
      expect(await shop.stockOf(sku)).toBe(9)
      expect(await shop.ok(contract.points.balance, {}, user)).toMatchObject({ balance: expect.any(Number) })
      await redis.service.restart()
    })
  })

  describe("alone", () => {
    beforeAll(() => eventually(() => redis.client.ping(), { timeoutMs: 20_000 }))
    beforeAll(async () => {
      for (const server of [0, 1, 2])
        await eventually(
          async () => {
            await run(invalidate(["warm"]), server)
            await get([{ name: "warm", tag: "warm" }], async () => ({ warm: 1 }), server)
            let loads = 0
            await get([{ name: "warm", tag: "warm" }], async () => ({ warm: ++loads }), server)
            expect(loads).toBe(0)
          },
          { timeoutMs: 20_000 }
        )
    })

    test("a value is loaded once, cached, and loaded again after an invalidation by another server", async () => {
      let loads = 0
      const load = async () => ({ a: ++loads })
      expect((await get([key("a")], load)).get("a")).toBe(1)
      expect((await get([key("a")], load, 1)).get("a")).toBe(1)
      await run(invalidate([key("a").tag]), 1)
      expect((await get([key("a")], load)).get("a")).toBe(2)
    })

    // A Redis that is out of memory evicts keys one by one.
    test("an invalidated entry stays invalid when Redis evicts the version of its tag", async () => {
      await get([key("v")], async () => ({ v: "old" }))
      const [entryKey] = await redis.client.keys("*e:v")
      const old = await redis.client.get(entryKey!)
      await run(invalidate([key("v").tag]))
      await redis.client.set(entryKey!, old!)
      const [versionKey] = await redis.client.keys("*v:tag of v")
      expect(await redis.client.del(versionKey!)).toBe(1)
      expect((await get([key("v")], async () => ({ v: "new" }))).get("v")).toBe("new")
    })

    test("a value read before an invalidation is never cached for callers after it", async () => {
      const started = Promise.withResolvers<void>()
      const mayEnd = Promise.withResolvers<void>()
      const slow = get([key("b")], async () => {
        started.resolve()
        await mayEnd.promise
        return { b: "old" }
      })
      await started.promise
      await run(invalidate([key("b").tag]), 1)
      const after = get([key("b")], async () => ({ b: "new" }))
      expect((await after).get("b")).toBe("new")
      mayEnd.resolve()
      expect((await slow).get("b")).toBe("old")
      expect((await get([key("b")], async () => ({ b: "newer" }), 1)).get("b")).not.toBe("old")
    })

    test("100 concurrent readers on two servers cause one load", async () => {
      let loads = 0
      const load = async () => {
        loads += 1
        await new Promise((resolve) => setTimeout(resolve, 50))
        return { c: "c" }
      }
      const values = await Promise.all(Array.from({ length: 100 }, (_, n) => get([key("c")], load, n % 2)))
      expect(values.every((value) => value.get("c") === "c")).toBe(true)
      expect(loads).toBe(1)
    })

    test("a failed load fails its own caller, and the waiting callers load by themselves", async () => {
      let loads = 0
      const load = async () => {
        loads += 1
        if (loads === 1) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          throw new Error("no")
        }
        return { d: loads }
      }
      const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => get([key("d")], load)))
      expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(1)
      expect((await get([key("d")], load)).get("d")).toBeGreaterThan(1)
    })

    test("a stale value is returned while a new one is loaded in the background", async () => {
      let loads = 0
      const load = async () => ({ e: ++loads })
      await get([key("e")], load, 2)
      expect((await get([key("e")], load)).get("e")).toBe(1)
      await eventually(async () => expect((await get([key("e")], load)).get("e")).toBe(2))
    })

    test("a stale value that was invalidated is not returned", async () => {
      await get([key("f")], async () => ({ f: "old" }), 2)
      await run(invalidate([key("f").tag]))
      expect((await get([key("f")], async () => ({ f: "new" }))).get("f")).toBe("new")
    })

    // Guarantees: what the cache has not written under this very key, or no longer stands by, is never shown.
    test.each<[lie: string, tell: (entry: string, version: string) => Promise<unknown>]>([
      ["no JSON", (entry) => redis.client.set(entry, "{not json")],
      ["nothing", (entry) => redis.client.set(entry, "")],
      ["a list", (entry) => redis.client.del(entry).then(() => redis.client.lpush(entry, "1"))],
      ["2 MB", (entry) => redis.client.set(entry, "x".repeat(2_000_000))],
      [
        "a forged value of the right version",
        async (entry, version) =>
          redis.client.set(entry, await forgedEntry((await redis.client.get(version))!, "forged"))
      ],
      [
        "a forged value under the seal of the true one",
        async (entry) => redis.client.set(entry, (await redis.client.get(entry))!.replace("true", "lies"))
      ],
      ["half of it", async (entry) => redis.client.set(entry, (await redis.client.get(entry))!.slice(0, -9))],
      [
        "the entry of another key of the same tag",
        async (entry, version) => {
          const other = { name: `other ${entry}`, tag: version.split(":v:")[1]! }
          await get([other], async () => ({ [other.name]: "another's" }))
          const [otherEntry] = await redis.client.keys(`*:e:${other.name.replaceAll(/[{}]/g, "?")}`)
          return redis.client.set(entry, (await redis.client.get(otherEntry!))!)
        }
      ],
      [
        "a version that is a list",
        (_, version) => redis.client.del(version).then(() => redis.client.lpush(version, "1"))
      ],
      ["a version of 100 kB", (_, version) => redis.client.set(version, "a".repeat(100_000))],
      ["a version that is no number", (_, version) => redis.client.set(version, "x".repeat(36))]
    ])("a lie about an entry is loaded over, and caching goes on: %s", async (lie, tell) => {
      const own = key(`lied about by ${lie}`)
      const read = (value: string, server = 0) => get([own], async () => ({ [own.name]: value }), server)
      expect((await read("true")).get(own.name)).toBe("true")
      const [entry] = await redis.client.keys(`*:e:${own.name}`)
      const version = entry!.replace(`:e:${own.name}`, `:v:${own.tag}`)
      await tell(entry!, version)
      expect((await read("true again")).get(own.name)).toBe("true again")
      expect((await read("not loaded", 1)).get(own.name)).toBe("true again")
      expect(await redis.client.get(version)).toMatch(/^[\da-f-]{36}$/)
    })

    test("an entry of another version of the shop, which decodes to nothing, is loaded again", async () => {
      await get([key("i2")], async () => ({ i2: "text" }))
      const asNumber = Cache.use((cache) =>
        cache.getMany(Schema.Int, [key("i2")], () => Effect.succeed(new Map([["i2", 7]])))
      )
      expect((await run(asNumber)).get("i2")).toBe(7)
    })

    test("an entry that is written back after its lifetime is not returned", async () => {
      const brief = await shop.openBeside({ cache: { freshMs: 100, staleMs: 400 } })
      const read = (value?: number) =>
        brief.runtime.runPromise(
          Cache.use((cache) =>
            cache.getMany(Schema.Int, [key("k")], () =>
              Effect.succeed(new Map(value === undefined ? [] : [["k", value]]))
            )
          )
        )
      await read(1)
      const [entry] = await redis.client.keys("*:e:k")
      const first = await redis.client.get(entry!)
      await eventually(async () => {
        await redis.client.set(entry!, first!)
        expect((await read()).get("k")).toBeUndefined()
      })
    })

    test("only missing names are loaded, and absent values are not cached", async () => {
      await get([key("h")], async () => ({ h: 1 }))
      let asked: ReadonlyArray<string> = []
      const values = await run(
        Cache.use((cache) =>
          cache.getMany(Schema.Unknown, [key("h"), key("i"), key("j")], (names) => {
            asked = names
            return Effect.succeed(new Map([["i", 2]]))
          })
        )
      )
      expect(asked).toEqual(["i", "j"])
      expect(Object.fromEntries(values)).toEqual({ h: 1, i: 2 })
      expect((await get([key("j")], async () => ({ j: 3 }))).get("j")).toBe(3)
    })
  })
})
