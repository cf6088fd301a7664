import { contract } from "@holdfast/domain"
import { race } from "@holdfast/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { cacheInvalidator } from "../../cache-invalidation.ts"
import { drain } from "../../../test/jobs.ts"
import { couponInput, issue, issuedOf, manyUsers, newCoupon } from "../../../test/sale.ts"
import { Shop } from "../../../test/shop.ts"
import { outboxRelay } from "../outbox/relay.ts"

const HOUR_MS = 3_600_000

describe("the cached reads of two servers", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2, settings: { cache: { freshMs: HOUR_MS, staleMs: HOUR_MS } } })
    await shop.newProduct("first", 10)
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

  /** Reads from each server. */
  const onBoth = async <A>(read: () => Promise<A>) => [await read(), await read()]
  const campaignOf = async (couponId: string) => shop.ok(contract.coupons.byId, { couponId })
  const campaignIds = async () => (await shop.ok(contract.coupons.page, {})).items.map(({ id }) => id)

  test("a new product is in categories and searches, and no longer unknown, at once", async () => {
    const categories = () => shop.ok(contract.products.categories, {})
    const found = async (text: string) =>
      (await shop.ok(contract.products.search, { text })).items.map(({ sku }) => sku)
    for (let n = 1; n <= 5; n += 1) {
      const sku = `assam-${n}`
      const before = await onBoth(categories)
      expect(await onBoth(() => found("assam"))).toEqual(twice(before[0]!.length === 0 ? [] : skusTo(n - 1)))
      for (let server = 0; server < 2; server += 1)
        expect(await shop.call(contract.products.bySku, { sku })).toMatchObject({ tag: "ProductNotFound" })
      const product = { sku, name: `Assam ${n}`, category: "black", priceMinor: 1, initialStock: n }
      await shop.ok(contract.admin.createProduct, product, shop.admin)
      expect(await onBoth(() => shop.stockOf(sku))).toEqual([n, n])
      expect(await onBoth(() => found("assam"))).toEqual(twice(skusTo(n)))
      expect(await onBoth(() => found("  Assam aSSaM "))).toEqual(twice(skusTo(n)))
      expect(await onBoth(categories)).toEqual(twice([{ category: "black", products: n }]))
    }
  })

  test("pages of every size follow one another through the whole list", async () => {
    for (let n = 10; n < 40; n += 1) await shop.newProduct(`page-${n}`, 1)
    const all = (await shop.ok(contract.products.page, { limit: 100 })).items
    for (const limit of [1, 7, 20, 21, all.length - 1, all.length, 100]) {
      const seen: Array<unknown> = []
      for (let cursor: string | undefined, isLast = false; !isLast;) {
        const page = await shop.ok(contract.products.page, {
          limit,
          ...(cursor === undefined ? {} : { cursor })
        })
        seen.push(...page.items)
        cursor = page.nextCursor
        isLast = cursor === undefined
      }
      expect(seen).toEqual(all)
    }
  })

  test("a campaign shows each coupon that was issued, each raise and pause at once, on every server", async () => {
    const { id } = await newCoupon(shop, { quantity: 10 })
    const users = await manyUsers(shop, 4)
    for (const [n, user] of users.entries()) {
      expect(await onBoth(() => issuedOf(shop, id))).toEqual([n, n])
      await issue(shop, id, user)
      expect(await onBoth(() => issuedOf(shop, id))).toEqual([n + 1, n + 1])
    }
    await shop.ok(contract.admin.raiseCouponQuantity, { couponId: id, additional: 5 }, shop.admin)
    expect(await onBoth(() => campaignOf(id))).toMatchObject([{ quantity: 15 }, { quantity: 15 }])
    await shop.ok(contract.admin.pauseCoupon, { couponId: id }, shop.admin)
    expect(await onBoth(() => campaignOf(id))).toMatchObject([{ paused: true }, { paused: true }])
    await shop.ok(contract.admin.resumeCoupon, { couponId: id }, shop.admin)
    expect(await onBoth(() => campaignOf(id))).toMatchObject([{ paused: false }, { paused: false }])
    expect(await onBoth(campaignIds)).toEqual([[id], [id]])
    const next = await newCoupon(shop)
    expect(await onBoth(campaignIds)).toEqual(twice([next.id, id]))
  })

  // Guarantees: whoever has seen an answer finds its coupon counted, on every server, also during a race.
  test("8 readers never see fewer coupons issued than were answered when the read began", async () => {
    const { id } = await newCoupon(shop, { quantity: 100 })
    const users = await manyUsers(shop, 60)
    let answered = 0
    const sale = { isOver: false }
    const readers = Array.from({ length: 8 }, async () => {
      while (!sale.isOver) {
        const atLeast = answered
        expect(await issuedOf(shop, id)).toBeGreaterThanOrEqual(atLeast)
      }
    })
    await race(users.length, async (n) => {
      await issue(shop, id, users[n]!)
      answered += 1
    })
    sale.isOver = true
    await Promise.all(readers)
    expect(await onBoth(() => issuedOf(shop, id))).toEqual([60, 60])
  })

  test("a cached page of campaigns does not name one that has ended since", async () => {
    const endsAt = new Date(Date.now() + 1_500).toISOString()
    const brief = await shop.ok(contract.admin.createCoupon, couponInput({ endsAt }), shop.admin)
    expect(await campaignIds()).toContain(brief.id)
    await expect.poll(campaignIds, { timeout: 10_000 }).not.toContain(brief.id)
  })

  test.for([
    [0, "does not repeat what that process has invalidated"],
    [1, "repeats it: the first process may have died"]
  ] as const)("the event of a sale, handled by process %i, %s", async ([handledBy]) => {
    const sku = await shop.newProduct(`sold ${handledBy}`, 10)
    await drain(shop.servers[0], outboxRelay, cacheInvalidator)
    await drain(shop.servers[1]!, cacheInvalidator)
    const adjust = { sku, delta: -1, reason: "a sale" }
    const response = await fetch(`${shop.servers[0].url}/trpc/admin.adjustStock`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${shop.admin.token}` },
      body: JSON.stringify(adjust)
    })
    expect(response.status).toBe(200)
    expect(await onBoth(() => shop.stockOf(sku))).toEqual([9, 9])
    await shop.sql.query("UPDATE products SET stock = 4 WHERE sku = ?", [sku])
    await drain(shop.servers[0], outboxRelay)
    await drain(shop.servers[handledBy]!, cacheInvalidator)
    expect(await onBoth(() => shop.stockOf(sku))).toEqual(twice(handledBy === 0 ? 9 : 4))
    await shop.sql.query("UPDATE products SET stock = 9 WHERE sku = ?", [sku])
  })

  test("the event invalidates a campaign for a process that died before it could", async () => {
    const { id } = await newCoupon(shop)
    await drain(shop.servers[0], outboxRelay, cacheInvalidator)
    expect(await onBoth(() => campaignOf(id))).toMatchObject([{ paused: false }, { paused: false }])
    await shop.sql.query("UPDATE coupons SET paused = 1 WHERE id = ?", [
      Buffer.from(id.replaceAll("-", ""), "hex")
    ])
    await shop.sql.query("INSERT INTO outbox (topic, payload) VALUES ('coupon.changed', ?)", [
      JSON.stringify({ couponId: id })
    ])
    await drain(shop.servers[0], outboxRelay, cacheInvalidator)
    expect(await onBoth(() => campaignOf(id))).toMatchObject([{ paused: true }, { paused: true }])
  })
})

const twice = <A>(value: A) => [value, value]
const skusTo = (last: number) => Array.from({ length: last }, (_, n) => `assam-${n + 1}`)
