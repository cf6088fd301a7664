import { contract, CouponId, OrderId, UserCouponId, UserId } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../../platform/db/ids.ts"
import { inTransaction } from "../../../platform/db/transaction.ts"
import type { Shop, TestUser } from "../../../../test/shop.ts"
import { useShop } from "../../../../test/use-shop.ts"
import { CouponAdmission } from "./admission.ts"
import { addIssued, findCoupon } from "../campaigns/repository.ts"
import { gateOf, issue, manyUsers, newCoupon, withGate } from "../../../../test/sale.ts"
import { unuseUserCoupons, useUserCoupons } from "../repository.ts"

// Locks keep everybody away from these; they hold also when a lock is forgotten.
describe("the last lines", () => {
  let shop: Shop
  let ann: TestUser
  let couponId: CouponId
  let mine: { readonly id: string }
  let orderId: string
  useShop({}, async (opened) => {
    shop = opened
    ann = (await manyUsers(shop, 1))[0]!
    couponId = CouponId.make((await newCoupon(shop, { quantity: 1 })).id)
    mine = await issue(shop, couponId, ann)
    await shop.newProduct("book", 10, 1_000)
    const order = { lines: [{ sku: "book", quantity: 1 }], userCouponId: mine.id }
    orderId = (await shop.ok(contract.orders.create, order, ann)).id
  })

  test.each([
    ["more issued than there are", "UPDATE coupons SET issued = quantity + 1", /coupons_issued/],
    ["fewer than none", "UPDATE coupons SET issued = -1", /coupons_issued/],
    [
      "a user's second coupon of a campaign",
      "INSERT INTO user_coupons SELECT REPEAT('x', 16), coupon_id, user_id, issued_at, expires_at, NULL FROM user_coupons",
      /user_coupons_once/
    ],
    [
      "a second coupon for one order",
      "INSERT INTO user_coupons SELECT REPEAT('x', 16), coupon_id, (SELECT id FROM users WHERE role = 'admin'), issued_at, expires_at, order_id FROM user_coupons",
      /user_coupons_order/
    ],
    [
      "a coupon used twice for one order",
      "INSERT INTO coupon_ledger (coupon_id, delta, kind, user_coupon_id, order_id) SELECT coupon_id, 0, 'use', id, order_id FROM user_coupons",
      /coupon_ledger_once/
    ],
    ["a discount of more than half", "UPDATE orders SET discount_minor = total_minor + 1", /orders_discount/],
    ["a discount without a coupon", "UPDATE orders SET user_coupon_id = NULL", /orders_discount/]
  ])("the database refuses %s", async (_case, statement, constraint) => {
    await expect(shop.sql.query(statement)).rejects.toThrow(constraint)
  })

  test("the guarded UPDATEs change nothing where there is nothing to take", async () => {
    const used = UserCouponId.make(mine.id)
    const order = OrderId.make(orderId)
    const other = OrderId.make("01890000-0000-7000-8000-000000000000")
    const { runPromise } = shop.servers[0].runtime
    expect(await runPromise(inTransaction(addIssued(new Map([[couponId, 1]]))))).toBe(0)
    expect(await runPromise(inTransaction(useUserCoupons([{ id: used, orderId: order }])))).toBe(0)
    expect(await runPromise(inTransaction(unuseUserCoupons([{ id: used, orderId: other }])))).toBe(0)
    const [rows] = await shop.sql.query("SELECT issued FROM coupons WHERE id = ?", [bytesOf(couponId)])
    expect(rows).toEqual([{ issued: 1 }])
  })

  test("a refusal by the database gives the slot of the gate back at once", async () => {
    const [bob, carl] = (await manyUsers(shop, 2)) as [TestUser, TestUser]
    const { id } = await newCoupon(shop, { quantity: 5 })
    await issue(shop, id, bob)
    await shop.ok(contract.admin.pauseCoupon, { couponId: id }, shop.admin)
    expect(await shop.call(contract.coupons.issue, { couponId: id }, carl)).toMatchObject({
      tag: "CouponPaused"
    })
    expect(await gateOf(shop, id)).toEqual({ free: 4, reserved: 0 })
  })

  test("the gate lets as many through as there are slots, and a slot that comes back once more", async () => {
    const { id } = await newCoupon(shop, { quantity: 2 })
    const campaign = CouponId.make(id)
    const [first, second, third] = (await manyUsers(shop, 3)).map((user) => UserId.make(user.id)) as [
      UserId,
      UserId,
      UserId
    ]
    const reserve = (user: UserId) => withGate(shop, (gate) => gate.reserve(campaign, user))
    expect(await reserve(first)).toBe("missing")
    const { runPromise } = shop.servers[0].runtime
    await runPromise(CouponAdmission.use(({ rebuild }) => rebuild(campaign)))
    expect([await reserve(first), await reserve(second), await reserve(third)]).toEqual([
      "reserved",
      "reserved",
      "full"
    ])
    expect(await reserve(first)).toBe("pending")
    await withGate(shop, (gate) => gate.release(campaign, [first]))
    expect(await reserve(third)).toBe("reserved")
    await withGate(shop, (gate) => gate.release(campaign, [second, third]))
  })

  test("a gate is not opened when Redis was flushed while its holders were written", async () => {
    const created = await newCoupon(shop, { quantity: 5 })
    const coupon = (await shop.servers[0].runtime.runPromise(findCoupon(CouponId.make(created.id))))!
    expect(await withGate(shop, (gate) => gate.open(coupon, 1))).toBe("again")
    expect(await gateOf(shop, created.id)).toBeUndefined()
    expect(await withGate(shop, (gate) => gate.open(coupon, 0))).toBe("open")
    expect(await gateOf(shop, created.id)).toEqual({ free: 5, reserved: 0 })
  })
})
