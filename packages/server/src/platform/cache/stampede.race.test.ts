import { contract } from "@holdfast/domain"
import { expectExactly, race, type Services, startServices } from "@holdfast/testkit"
import { Redis } from "ioredis"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { newCoupon } from "../../../test/sale.ts"
import { Shop } from "../../../test/shop.ts"

const READERS = 500
const HOUR_MS = 3_600_000

describe("a shop of two processes with servers of its own", () => {
  let services: Services
  let shop: Shop
  let redis: Redis
  beforeAll(async () => {
    services = await startServices()
    shop = await Shop.open({
      servers: 2,
      mysqlUrl: services.sql.url(),
      redisUrl: services.redis.url(),
      settings: { cache: { freshMs: HOUR_MS, staleMs: HOUR_MS } }
    })
    redis = new Redis(services.redis.url())
    for (let n = 0; n < 30; n += 1) await shop.newProduct(`tea-${n}`, 1_000)
    await shop.sql.query("SET GLOBAL log_output = 'TABLE'")
    await shop.sql.query("SET GLOBAL general_log = ON")
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    redis.disconnect()
    await shop.stop()
    await services.stop()
  })

  /** How often the shop's servers have read a table. */
  const readsOf = async (table: string): Promise<number> => {
    const [rows] = await shop.sql.query(
      "SELECT COUNT(*) AS reads_ FROM mysql.general_log WHERE argument LIKE ? AND argument NOT LIKE '%general_log%'",
      [`select % from \`${table}\`%`]
    )
    return (rows as unknown as ReadonlyArray<{ readonly reads_: number }>)[0]!.reads_
  }

  /** Makes the first readers miss everything. */
  const cold = () => redis.flushall()
  const sale = async () => {
    const buyer = await shop.newUser()
    await shop.ok(contract.orders.create, { lines: [{ sku: "tea-1", quantity: 1 }] }, buyer)
  }
  const page = () => shop.ok(contract.products.page, {})
  const product = () => shop.stockOf("tea-1")
  const search = () => shop.ok(contract.products.search, { text: "TEA" })
  const categories = () => shop.ok(contract.products.categories, {})
  const campaigns = () => shop.ok(contract.coupons.page, {})

  // Guarantees: however many read at once, in two processes, what is not cached is read from the database once.
  test.each<[what: string, table: string, prepare: () => Promise<unknown>, read: () => Promise<unknown>]>([
    ["a cold page", "products", cold, page],
    ["a page of which a product was sold", "products", sale, page],
    ["a page that a new product is on", "products", () => shop.newProduct("tea-01", 5), page],
    ["a cold product", "products", cold, product],
    ["a product that was sold", "products", sale, product],
    ["a cold search", "products", cold, search],
    ["cold categories", "products", cold, categories],
    ["cold campaigns", "coupons", () => newCoupon(shop).then(cold), campaigns]
  ])(`${READERS} readers of %s cause one query`, async (_what, table, prepare, read) => {
    await read()
    await prepare()
    const before = await readsOf(table)
    expectExactly(await race(READERS, read), READERS)
    expect((await readsOf(table)) - before).toBe(1)
  })

  // Guarantees: asking for what does not exist is no way around the cache.
  test(`${READERS} readers of an unknown SKU cause one query`, async () => {
    const before = await readsOf("products")
    const readers = await race(READERS, () => shop.stockOf("no such tea"))
    expectExactly(readers, READERS, "ProductNotFound")
    expect((await readsOf("products")) - before).toBe(1)
  })

  // Guarantees: callers cannot make entries without end by the ways in which they write a search.
  test("a search in many spellings and page sizes is two queries, in two of a thousand places", async () => {
    await cold()
    const before = await readsOf("products")
    const texts = ["tea 1", "1 tea", "TEA 1", "  Tea  1 tea", "ｔｅａ １", "te\u200Ba 1"]
    for (const text of texts)
      for (const limit of [undefined, 1, 7, 20, 21, 50, 100])
        await shop.ok(contract.products.search, { text, ...(limit === undefined ? {} : { limit }) })
    expect((await readsOf("products")) - before).toBe(2)
    const places = await redis.keys("*:e:search:*")
    expect(places).toHaveLength(2)
    for (const place of places) expect(place).toMatch(/:e:search:\d{1,3}$/)
  })

  test("a cold page of five products takes a handful of round trips to Redis", async () => {
    const roundTrips = async () => Number(/total_reads_processed:(\d+)/.exec(await redis.info("stats"))![1])
    const read = () => shop.ok(contract.products.page, { limit: 5 })
    await read()
    await cold()
    const before = await roundTrips()
    await read()
    // Two of them may be questions whether the cache may be trusted.
    expect((await roundTrips()) - before).toBeLessThanOrEqual(12)
  })
})
