import { contract } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { couponInput, issue, issuedOf, manyUsers, newCoupon } from "../../../test/sale.ts"

const DAY_MS = 86_400_000
const NOBODY = "01890000-0000-7000-8000-000000000000"

describe("coupons", () => {
  let shop: Shop
  let ann: TestUser
  let bob: TestUser
  useShop({}, async (opened) => {
    shop = opened
    ;[ann, bob] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
  })

  const refusal = async (couponId: string, user = ann) => {
    const answer = await shop.call(contract.coupons.issue, { couponId }, user)
    return answer.ok ? "issued" : answer.tag
  }

  test("a campaign is as it was created; an issued coupon carries its terms and its own expiry", async () => {
    const discount = { kind: "fixed", amountMinor: 500 } as const
    const created = await newCoupon(shop, { discount, minimumOrderMinor: 1_000, quantity: 2, validDays: 3 })
    expect(await shop.ok(contract.coupons.byId, { couponId: created.id })).toEqual(created)
    expect(created).toMatchObject({ discount, issued: 0, quantity: 2, paused: false })
    const mine = await issue(shop, created.id, ann)
    expect(mine).toMatchObject({ couponId: created.id, userId: ann.id, discount, minimumOrderMinor: 1_000 })
    expect(Date.parse(mine.expiresAt) - Date.parse(mine.issuedAt)).toBe(3 * DAY_MS)
    expect(mine).not.toHaveProperty("orderId")
    expect(await issuedOf(shop, created.id)).toBe(1)
  })

  test("a second request of the same user is told which coupon the first one got", async () => {
    const { id: couponId } = await newCoupon(shop)
    const mine = await issue(shop, couponId, ann)
    const again = await shop.call(contract.coupons.issue, { couponId }, ann)
    expect(again).toMatchObject({ ok: false, tag: "CouponAlreadyIssued", error: { coupon: mine } })
    expect(await issuedOf(shop, couponId)).toBe(1)
  })

  test("a user who has the coupon is told so also when it is sold out, paused or over", async () => {
    const { id: couponId } = await newCoupon(shop, { quantity: 1 })
    await issue(shop, couponId, ann)
    expect(await refusal(couponId)).toBe("CouponAlreadyIssued")
    await shop.ok(contract.admin.pauseCoupon, { couponId }, shop.admin)
    expect(await refusal(couponId)).toBe("CouponAlreadyIssued")
    await shop.sql.query("UPDATE coupons SET starts_at = '2001-01-01', ends_at = '2001-01-02' WHERE id = ?", [
      bytesOf(couponId)
    ])
    expect(await refusal(couponId)).toBe("CouponAlreadyIssued")
  })

  test("a retry with the same key gets the same coupon, and the same refusal also after the quantity was raised", async () => {
    const { id: couponId } = await newCoupon(shop, { quantity: 1 })
    const mine = await issue(shop, couponId, ann, "ann-1")
    expect(await issue(shop, couponId, ann, "ann-1")).toEqual(mine)
    await expect(issue(shop, couponId, bob, "bob-1")).rejects.toMatchObject({ _tag: "CouponSoldOut" })
    await shop.ok(contract.admin.raiseCouponQuantity, { couponId, additional: 1 }, shop.admin)
    await expect(issue(shop, couponId, bob, "bob-1")).rejects.toMatchObject({ _tag: "CouponSoldOut" })
    expect(await issue(shop, couponId, ann, "ann-1")).toEqual(mine)
    expect((await issue(shop, couponId, bob, "bob-2")).userId).toBe(bob.id)
  })

  describe("bad input", () => {
    test.each([
      ["not started", { startsAt: 1, endsAt: 2 }, "CouponNotStarted"],
      ["ended", { startsAt: -2, endsAt: -1 }, "CouponEnded"]
    ])("a coupon that is %s", async (_case, { endsAt, startsAt }, tag) => {
      const at = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString()
      const { id: couponId } = await newCoupon(shop, { startsAt: at(startsAt), endsAt: at(endsAt) })
      expect(await refusal(couponId)).toBe(tag)
      // With a gate, which a sale that was open once has, it is the same.
      expect(await refusal(couponId, bob)).toBe(tag)
      expect(await issuedOf(shop, couponId)).toBe(0)
    })

    test("a coupon that is paused, until it is resumed; both may be asked for twice", async () => {
      const { id: couponId } = await newCoupon(shop)
      await issue(shop, couponId, bob)
      await shop.ok(contract.admin.pauseCoupon, { couponId }, shop.admin)
      expect((await shop.ok(contract.admin.pauseCoupon, { couponId }, shop.admin)).paused).toBe(true)
      expect(await refusal(couponId)).toBe("CouponPaused")
      await shop.ok(contract.admin.resumeCoupon, { couponId }, shop.admin)
      expect((await shop.ok(contract.admin.resumeCoupon, { couponId }, shop.admin)).paused).toBe(false)
      expect(await refusal(couponId)).toBe("issued")
    })

    test("a coupon that does not exist, or is none", async () => {
      expect(await refusal(NOBODY)).toBe("CouponNotFound")
      expect(await refusal("spring")).toBe("InvalidInput")
      const missing = await shop.call(contract.coupons.byId, { couponId: NOBODY })
      expect(missing).toMatchObject({ ok: false, tag: "CouponNotFound", status: 404 })
      for (const procedure of [contract.admin.pauseCoupon, contract.admin.resumeCoupon])
        expect(await shop.call(procedure, { couponId: NOBODY }, shop.admin)).toMatchObject({
          tag: "CouponNotFound"
        })
    })

    test.each([
      ["no coupons", { quantity: 0 }],
      ["more than there can be", { quantity: 1_000_000_001 }],
      ["a part of a coupon", { quantity: 1.5 }],
      ["more than half of an order", { discount: { kind: "percent", percent: 51 } as const }],
      ["nothing off", { discount: { kind: "fixed", amountMinor: 0 } as const }],
      ["a negative minimum", { minimumOrderMinor: -1 }],
      ["an end before its start", { startsAt: "2030-01-02T00:00:00Z", endsAt: "2030-01-01T00:00:00Z" }],
      ["a date that is none", { endsAt: "tomorrow" }],
      ["a date that no database holds", { endsAt: "+012345-01-01T00:00:00Z" }],
      ["no day to use it", { validDays: 0 }],
      ["a blank name", { name: " " }]
    ])("a campaign with %s", async (_case, overrides) => {
      const answer = await shop.call(contract.admin.createCoupon, couponInput(overrides), shop.admin)
      expect(answer).toMatchObject({ ok: false, tag: "InvalidInput", status: 400 })
    })

    test("campaigns are made, changed and counted by administrators only", async () => {
      const { id: couponId } = await newCoupon(shop)
      expect(await shop.call(contract.admin.createCoupon, couponInput(), ann)).toMatchObject({
        tag: "Forbidden"
      })
      expect(await shop.call(contract.admin.pauseCoupon, { couponId }, ann)).toMatchObject({
        tag: "Forbidden"
      })
      expect(await shop.call(contract.admin.couponCounts, {}, ann)).toMatchObject({ tag: "Forbidden" })
      const more = { couponId, additional: 1 }
      expect(await shop.call(contract.admin.raiseCouponQuantity, more, ann)).toMatchObject({
        tag: "Forbidden"
      })
      expect(await shop.call(contract.coupons.issue, { couponId })).toMatchObject({ tag: "Unauthenticated" })
    })

    test("a cursor that is garbage", async () => {
      for (const cursor of ["garbage", "eyJjb3Vwb25JZCI6MX0"]) {
        const asked = [
          shop.call(contract.coupons.page, { cursor }),
          shop.call(contract.admin.couponCounts, { cursor }, shop.admin),
          shop.call(contract.coupons.mine, { cursor }, ann)
        ]
        for (const answer of await Promise.all(asked))
          expect(answer).toMatchObject({ tag: "InvalidInput", error: { issues: [{ path: "cursor" }] } })
      }
    })
  })

  test("a raised quantity is there for the next caller at once, and has a limit", async () => {
    const { id: couponId } = await newCoupon(shop, { quantity: 1 })
    await issue(shop, couponId, ann)
    expect(await refusal(couponId, bob)).toBe("CouponSoldOut")
    const raised = await shop.ok(contract.admin.raiseCouponQuantity, { couponId, additional: 2 }, shop.admin)
    expect(raised).toMatchObject({ quantity: 3, issued: 1 })
    expect(await refusal(couponId, bob)).toBe("issued")
    const tooMany = { couponId, additional: 1_000_000_000 }
    const answer = await shop.call(contract.admin.raiseCouponQuantity, tooMany, shop.admin)
    expect(answer).toMatchObject({ tag: "CouponQuantityExceeded", error: { quantity: 3 } })
  })

  test("lists: campaigns that are not over, the counts of all, a user's own, page by page", async () => {
    const [carl] = (await manyUsers(shop, 1)) as [TestUser]
    const open = [await newCoupon(shop), await newCoupon(shop), await newCoupon(shop)]
    const over = await newCoupon(shop, { startsAt: "2020-01-01T00:00:00Z", endsAt: "2020-01-02T00:00:00Z" })
    for (const { id } of open) await issue(shop, id, carl)

    const first = await shop.ok(contract.coupons.page, { limit: 2 })
    const second = await shop.ok(contract.coupons.page, { limit: 1, cursor: first.nextCursor! })
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(
      open.map(({ id }) => id).toReversed()
    )

    const counts = await shop.ok(contract.admin.couponCounts, { limit: 2 }, shop.admin)
    expect(counts.items[0]).toEqual({ coupon: over, used: 0, waiting: 0 })
    expect(counts.items[1]).toMatchObject({
      coupon: { id: open[2]!.id, issued: 1 },
      gate: { free: 9, reserved: 0 }
    })

    const mine = await shop.ok(contract.coupons.mine, { limit: 2 }, carl)
    const rest = await shop.ok(contract.coupons.mine, { limit: 2, cursor: mine.nextCursor! }, carl)
    expect([...mine.items, ...rest.items].map(({ couponId }) => couponId)).toEqual(
      open.map(({ id }) => id).toReversed()
    )
    expect(rest).not.toHaveProperty("nextCursor")
  })
})
