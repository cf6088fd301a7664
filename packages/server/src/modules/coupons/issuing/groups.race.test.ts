import { contract } from "@holdfast/domain"
import { eventually, expectExactly, race } from "@holdfast/testkit"
import type { RowDataPacket } from "mysql2/promise"
import { beforeAll, describe, expect, test } from "vitest"
import { gateOf, issue, issuedOf, manyUsers, newCoupon, patiently } from "../../../../test/sale.ts"
import { Shop, type TestUser } from "../../../../test/shop.ts"
import { useShop } from "../../../../test/use-shop.ts"
import { bytesOf } from "../../../platform/db/ids.ts"

/** Holds rows from outside, as a long transaction of another program does. */
const holding = async (shop: Shop, select: string, id: string) => {
  const connection = await shop.sql.getConnection()
  await connection.query("BEGIN")
  await connection.query(`${select} FOR UPDATE`, [bytesOf(id)])
  return {
    letGo: async () => {
      await connection.query("ROLLBACK")
      connection.release()
    }
  }
}

const campaignsOf = async (shop: Shop, quantities: ReadonlyArray<number>): Promise<ReadonlyArray<string>> => {
  const ids: Array<string> = []
  for (const quantity of quantities) ids.push((await newCoupon(shop, { quantity })).id)
  return ids
}

describe("coupons of several campaigns that share transactions, on two servers", () => {
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  useShop({ servers: 2 }, (opened) => (shop = opened))
  beforeAll(async () => {
    users = await manyUsers(shop, 40)
  })

  const holdersOf = async (couponId: string): Promise<number> => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT COUNT(DISTINCT user_id) AS holders FROM user_coupons WHERE coupon_id = ?",
      [bytesOf(couponId)]
    )
    return rows[0]!["holders"] as number
  }

  // Guarantees: of each campaign exactly as many users win as there are coupons, whoever shares their transactions.
  test("6 campaigns of 1 to 40 coupons, 40 users who ask for all of them at once: each issues exactly what it has", async () => {
    const quantities = [1, 3, 7, 20, 39, 40]
    const campaigns = await campaignsOf(shop, quantities)
    const result = await race(
      users.length * campaigns.length,
      (caller) => {
        const couponId = campaigns[caller % campaigns.length]!
        const user = users[Math.floor(caller / campaigns.length)]!
        return patiently(() => issue(shop, couponId, user, `once-${couponId}`))
      },
      { timeoutMs: 120_000 }
    )
    expectExactly(result, 110)
    expectExactly(result, 130, "CouponSoldOut")
    for (const [index, couponId] of campaigns.entries()) {
      expect(await issuedOf(shop, couponId)).toBe(quantities[index])
      expect(await holdersOf(couponId)).toBe(quantities[index])
      expect(await gateOf(shop, couponId)).toEqual({ free: 0, reserved: 0 })
    }
  }, 150_000)

  // Guarantees: a campaign's row that is held from outside delays the coupons of that campaign and no others.
  test("coupons of other campaigns do not wait for a held campaign", async () => {
    const [held, ...others] = (await campaignsOf(shop, [15, 40, 40])) as [string, ...ReadonlyArray<string>]
    // A user's calls follow one another, so those who wait for the held campaign ask for nothing else.
    const waiting = await manyUsers(shop, 20)
    const row = await holding(shop, "SELECT id FROM coupons WHERE id = ?", held)
    let answered = 0
    const ofHeld = race(20, (caller) => issue(shop, held, waiting[caller]!).finally(() => (answered += 1)))
    try {
      for (const couponId of others) {
        const ofOthers = await race(users.length, (caller) => issue(shop, couponId, users[caller]!))
        expectExactly(ofOthers, users.length)
      }
      // Nobody is told "sold out" either, while the slots are only reserved.
      expect(answered).toBe(0)
    } finally {
      await row.letGo()
    }
    const result = await ofHeld
    expectExactly(result, 15)
    expectExactly(result, 5, "CouponSoldOut")
  })

  test("an unknown campaign is refused and waits for nothing", async () => {
    const [couponId] = (await campaignsOf(shop, [2])) as [string]
    const unknown = "01890000-0000-7000-8000-000000000000"
    const result = await race(4, (caller) =>
      issue(shop, caller % 2 === 0 ? couponId : unknown, users[caller]!)
    )
    expectExactly(result, 2)
    expectExactly(result, 2, "CouponNotFound")
  })

  test("a campaign is paused while coupons of it and of others are issued: the others go on", async () => {
    const [paused, other] = (await campaignsOf(shop, [40, 40])) as [string, string]
    await shop.ok(contract.admin.pauseCoupon, { couponId: paused }, shop.admin)
    const result = await race(80, (caller) =>
      issue(shop, caller % 2 === 0 ? paused : other, users[Math.floor(caller / 2)]!)
    )
    expectExactly(result, 40)
    expectExactly(result, 40, "CouponPaused")
    expect(await issuedOf(shop, paused)).toBe(0)
    expect(await issuedOf(shop, other)).toBe(40)
  })
})

describe("one server's coupons", () => {
  let shop: Shop
  useShop({}, (opened) => (shop = opened))

  // Guarantees: the calls that wait share one transaction, whatever campaigns they are for.
  test("the coupons of 20 campaigns that wait for a transaction are issued by the next one", async () => {
    const users = await manyUsers(shop, 21)
    const [first, ...campaigns] = (await campaignsOf(
      shop,
      users.map(() => 1)
    )) as [string, ...ReadonlyArray<string>]
    // The insertion of a coupon needs its user's row.
    const row = await holding(shop, "SELECT id FROM users WHERE id = ?", users[0]!.id)
    const reserved = async (couponIds: ReadonlyArray<string>) => {
      for (const couponId of couponIds) expect((await gateOf(shop, couponId))?.reserved).toBe(1)
    }
    const stuck = issue(shop, first, users[0]!)
    await eventually(() => reserved([first]))
    const waiting = campaigns.map((couponId, index) => issue(shop, couponId, users[index + 1]!))
    try {
      await eventually(() => reserved(campaigns))
    } finally {
      await row.letGo()
    }
    await stuck
    const times = (await Promise.all(waiting)).map(({ issuedAt }) => issuedAt)
    // A coupon is issued at the time of its transaction. A late caller may miss the first one.
    expect(new Set(times).size).toBeLessThanOrEqual(2)
  })
})
