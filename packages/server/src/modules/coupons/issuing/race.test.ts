import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { Effect, Semaphore } from "effect"
import type { RowDataPacket } from "mysql2/promise"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../../platform/db/ids.ts"
import { Shop, type TestUser } from "../../../../test/shop.ts"
import { useShop } from "../../../../test/use-shop.ts"
import { gateOf, issue, issuedOf, manyUsers, newCoupon, patiently } from "../../../../test/sale.ts"

/** How many requests of the 3,000 are under way at one moment: more would drown the callers' process, not the servers. */
const SOCKETS = 300

describe("coupons under concurrency", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  const countHolders = async (couponId: string): Promise<number> => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(DISTINCT user_id) AS holders FROM user_coupons WHERE coupon_id = ?",
      [bytesOf(couponId)]
    )
    return rows[0]!["holders"] as number
  }

  /** One request of a user, as a tag; a key a request, so that a lost answer is asked for again. */
  const ask = (couponId: string, user: TestUser, nth: number): Promise<string> =>
    patiently(() => issue(shop, couponId, user, `request-${nth}`)).then(
      () => "issued",
      (refused: { readonly _tag?: string }) => refused._tag ?? "no tag"
    )

  // Guarantees: exactly as many users win as there are coupons, nobody twice, and everybody is told one thing.
  test("100 coupons, 1,000 users at once, each asking 3 times at once: 100 issued to 100 users, 900 CouponSoldOut", async () => {
    const users = await manyUsers(shop, 1_000)
    const { id: couponId } = await newCoupon(shop, { quantity: 100 })
    // All ask at once; the sockets are taken in the order of asking, so that those of one user are open together.
    const sockets = Semaphore.makeUnsafe(SOCKETS)
    let open = 0
    let mostOpen = 0
    const askByOneOf = (user: TestUser, nth: number) =>
      Effect.runPromise(
        sockets.withPermits(1)(
          Effect.promise(async () => {
            mostOpen = Math.max(mostOpen, (open += 1))
            return ask(couponId, user, nth).finally(() => (open -= 1))
          })
        )
      )
    const result = await race(
      1_000,
      async (caller) =>
        (await Promise.all([1, 2, 3].map((nth) => askByOneOf(users[caller]!, nth)))).toSorted(),
      { timeoutMs: 240_000 }
    )
    expectExactly(result, 1_000)
    expect(mostOpen).toBe(SOCKETS)
    expect(countOf(result.winners.map(({ value }) => value))).toEqual({
      "CouponAlreadyIssued CouponAlreadyIssued issued": 100,
      "CouponSoldOut CouponSoldOut CouponSoldOut": 900
    })
    expect(await countHolders(couponId)).toBe(100)
    expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
  }, 300_000)

  test("20 coupons, 150 users who each ask 3 times, one after another: 20 issued to 20 users", async () => {
    const users = await manyUsers(shop, 150)
    const { id: couponId } = await newCoupon(shop, { quantity: 20 })
    const result = await race(
      150,
      async (caller) => [
        await ask(couponId, users[caller]!, 1),
        await ask(couponId, users[caller]!, 2),
        await ask(couponId, users[caller]!, 3)
      ],
      { timeoutMs: 120_000 }
    )
    expect(countOf(result.winners.map(({ value }) => value))).toEqual({
      "issued CouponAlreadyIssued CouponAlreadyIssued": 20,
      "CouponSoldOut CouponSoldOut CouponSoldOut": 130
    })
    expect(await countHolders(couponId)).toBe(20)
    expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
  }, 150_000)

  const countOf = (answers: ReadonlyArray<ReadonlyArray<string>>): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const answer of answers) counts[answer.join(" ")] = (counts[answer.join(" ")] ?? 0) + 1
    return counts
  }

  test("no first SELECT fixes a snapshot in which nobody wins: as many users as coupons at once, everybody gets one", async () => {
    const users = await manyUsers(shop, 60)
    const { id: couponId } = await newCoupon(shop, { quantity: 60 })
    const result = await race(60, (caller) => issue(shop, couponId, users[caller]!))
    expectExactly(result, 60)
    expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
  })

  test("a pool of 2 connections is not exhausted by transactions that wait for a second one: 40 users, 10 coupons", async () => {
    await using small = await Shop.open({ servers: 2, settings: { databaseConnections: 2 } })
    const users = await manyUsers(small, 40)
    const { id: couponId } = await newCoupon(small, { quantity: 10 })
    const result = await race(40, (caller) => patiently(() => issue(small, couponId, users[caller]!, "once")))
    expectExactly(result, 10)
    expectExactly(result, 30, "CouponSoldOut")
    await small.expectRightBooks()
  })

  test("one user asks 20 times at once with one key: one coupon, 20 equal answers", async () => {
    const [user] = (await manyUsers(shop, 1)) as [TestUser]
    const { id: couponId } = await newCoupon(shop)
    const result = await race(20, () => issue(shop, couponId, user, "the-same-key"))
    expectExactly(result, 20)
    expect(new Set(result.winners.map(({ value }) => JSON.stringify(value))).size).toBe(1)
    expect(await issuedOf(shop, couponId)).toBe(1)
  })

  test("the loser of a duplicate check does not stay in the queue: a user asks 20 times, and 9 coupons are left for 9 others", async () => {
    const [user, ...others] = (await manyUsers(shop, 10)) as [TestUser, ...ReadonlyArray<TestUser>]
    const { id: couponId } = await newCoupon(shop, { quantity: 10 })
    const result = await race(20, () => issue(shop, couponId, user))
    expectExactly(result, 1)
    expectExactly(result, 19, "CouponAlreadyIssued")
    expect(await gateOf(shop, couponId)).toEqual({ free: 9, reserved: 0 })
    expectExactly(await race(9, (caller) => issue(shop, couponId, others[caller]!)), 9)
  })

  test("the quantity is raised in the middle of a sale: exactly the new quantity is issued", async () => {
    const users = await manyUsers(shop, 120)
    const { id: couponId } = await newCoupon(shop, { quantity: 40 })
    const result = await race(121, async (caller) => {
      if (caller === 120)
        return shop.ok(contract.admin.raiseCouponQuantity, { couponId, additional: 30 }, shop.admin)
      return issue(shop, couponId, users[caller]!)
    })
    // Who came before the raise may rightly have found it sold out; who comes now finds what is left.
    const issued = result.fulfilled.length - 1
    expect(issued).toBeGreaterThanOrEqual(40)
    const again = await race(120, (caller) => issue(shop, couponId, users[caller]!))
    expectExactly(again, 70 - issued)
    expect(await issuedOf(shop, couponId)).toBe(70)
  })

  test("a pause in the middle of a sale: nobody gets a coupon after it was answered", async () => {
    const users = await manyUsers(shop, 60)
    const { id: couponId } = await newCoupon(shop, { quantity: 60 })
    let issuedAtPause = -1
    await race(61, async (caller) => {
      if (caller < 60) return issue(shop, couponId, users[caller]!)
      await shop.ok(contract.admin.pauseCoupon, { couponId }, shop.admin)
      issuedAtPause = await issuedOf(shop, couponId)
      return undefined
    })
    expect(await issuedOf(shop, couponId)).toBe(issuedAtPause)
  })

  describe("in orders", () => {
    const order = (user: TestUser, sku: string, quantity: number, userCouponId: string) =>
      shop.ok(contract.orders.create, { lines: [{ sku, quantity }], userCouponId }, { token: user.token })

    test("one user coupon in 20 concurrent orders: one order has it, 19 CouponAlreadyUsed, no stock is lost", async () => {
      const [user] = (await manyUsers(shop, 1)) as [TestUser]
      const { id: couponId } = await newCoupon(shop)
      const mine = await issue(shop, couponId, user)
      // Different goods, so that no product's row keeps the orders one after another.
      const skus = await Promise.all(
        Array.from({ length: 20 }, (_, index) => shop.newProduct(`goods ${index}`, 5, 1_000))
      )
      const result = await race(20, (caller) => order(user, skus[caller]!, 1, mine.id))
      const [winner] = expectExactly(result, 1)
      expectExactly(result, 19, "CouponAlreadyUsed")
      const left = await Promise.all(skus.map((sku) => shop.stockOf(sku)))
      expect(left).toEqual(skus.map((_, index) => (index === winner!.caller ? 4 : 5)))
      const { items } = await shop.ok(contract.coupons.mine, {}, user)
      expect(items[0]?.orderId).toBe(result.winners[0]!.value.id)
    })

    test("a coupon of 10 used by limited orders: 10 units and 10 coupons for 30 users make 10 orders with a discount", async () => {
      const users = await manyUsers(shop, 30)
      const { id: couponId } = await newCoupon(shop, {
        quantity: 10,
        discount: { kind: "percent", percent: 30 }
      })
      const sku = await shop.newProduct("ten units", 10, 1_000)
      const result = await race(30, async (caller) => {
        const user = users[caller]!
        const mine = await issue(shop, couponId, user)
        return order(user, sku, 1, mine.id)
      })
      expectExactly(result, 10)
      expectExactly(result, 20, "CouponSoldOut")
      expect(new Set(result.winners.map(({ value }) => value.totalMinor))).toEqual(new Set([700]))
      expect(await shop.stockOf(sku)).toBe(0)
    })

    test("limited goods and more coupons than units: an order that finds no stock leaves its coupon unused", async () => {
      const users = await manyUsers(shop, 12)
      const { id: couponId } = await newCoupon(shop, { quantity: 12 })
      const coupons = await Promise.all(users.map((user) => issue(shop, couponId, user)))
      const sku = await shop.newProduct("five units", 5, 1_000)
      const result = await race(12, (caller) => order(users[caller]!, sku, 1, coupons[caller]!.id))
      expectExactly(result, 5)
      expectExactly(result, 7, "OutOfStock")
      const [rows] = await shop.sql.query(
        "SELECT COUNT(order_id) AS used FROM user_coupons WHERE coupon_id = ?",
        [bytesOf(couponId)]
      )
      expect(rows).toEqual([{ used: 5 }])
    })

    test("an order with a coupon is cancelled 10 times at once: the coupon comes back once, and can be used again", async () => {
      const [user] = (await manyUsers(shop, 1)) as [TestUser]
      const { id: couponId } = await newCoupon(shop)
      const mine = await issue(shop, couponId, user)
      const sku = await shop.newProduct("comes back", 10, 1_000)
      const first = await order(user, sku, 1, mine.id)
      await race(10, () => shop.ok(contract.orders.cancel, { orderId: first.id }, user))
      const [rows] = await shop.sql.query(
        "SELECT COUNT(*) AS returns FROM coupon_ledger WHERE kind = 'return' AND order_id = ?",
        [bytesOf(first.id)]
      )
      expect(rows).toEqual([{ returns: 1 }])
      const second = await order(user, sku, 1, mine.id)
      expect(second).toMatchObject({ discountMinor: 100, totalMinor: 900, userCouponId: mine.id })
      const late = await shop.call(contract.orders.cancel, { orderId: first.id }, user)
      expect(late.ok && late.value.status).toBe("CANCELLED")
      const { items } = await shop.ok(contract.coupons.mine, {}, user)
      expect(items[0]?.orderId).toBe(second.id)
    })
  })
})
