import { contract, type InputOf } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { bytesOf } from "../../platform/db/ids.ts"
import type { Shop, TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { issue, newCoupon } from "../../../test/sale.ts"

describe("coupons in orders", () => {
  let shop: Shop
  let ann: TestUser
  let bob: TestUser
  useShop({}, async (opened) => {
    shop = opened
    ;[ann, bob] = [await shop.newUser(100_000), await shop.newUser(100_000)]
    await shop.newProduct("book", 1_000, 999)
    await shop.newProduct("gift", 1_000, 0)
  })

  const couponOf = async (user: TestUser, overrides: Parameters<typeof newCoupon>[1]) =>
    issue(shop, (await newCoupon(shop, overrides)).id, user)

  const order = (
    userCouponId: string,
    user = ann,
    lines: InputOf<typeof contract.orders.create>["lines"] = [{ sku: "book", quantity: 1 }]
  ) => shop.call(contract.orders.create, { lines, userCouponId }, user)

  test("percent is rounded down, the discount is in the order, and the payment takes what is left", async () => {
    const mine = await couponOf(ann, { discount: { kind: "percent", percent: 15 } })
    const created = await shop.ok(
      contract.orders.create,
      { lines: [{ sku: "book", quantity: 1 }], userCouponId: mine.id },
      ann
    )
    expect(created).toMatchObject({ discountMinor: 149, totalMinor: 850, userCouponId: mine.id })
    expect(await shop.ok(contract.orders.get, { orderId: created.id }, ann)).toEqual(created)
    const payment = await shop.ok(contract.payments.process, { orderId: created.id }, ann)
    expect(payment.amountMinor).toBe(850)
    expect((await shop.ok(contract.orders.cancel, { orderId: created.id }, ann)).status).toBe("CANCELLED")
    const { items } = await shop.ok(contract.coupons.mine, {}, ann)
    expect(items.find(({ id }) => id === mine.id)).not.toHaveProperty("orderId")
  })

  test("an order without a coupon has no discount", async () => {
    const created = await shop.ok(contract.orders.create, { lines: [{ sku: "book", quantity: 1 }] }, ann)
    expect(created).toMatchObject({ discountMinor: 0, totalMinor: 999 })
    expect(created).not.toHaveProperty("userCouponId")
  })

  test("a coupon cannot be used by a stranger, who cannot even tell that it exists", async () => {
    const mine = await couponOf(ann, {})
    const stranger = await order(mine.id, bob)
    const nothing = await order("01890000-0000-7000-8000-000000000000", bob)
    expect(stranger).toMatchObject({ tag: "UserCouponNotFound", status: 404 })
    expect(nothing).toMatchObject({ tag: "UserCouponNotFound", status: 404 })
    expect((await order(mine.id)).ok).toBe(true)
  })

  test("a coupon cannot be used twice", async () => {
    const mine = await couponOf(ann, {})
    const first = await order(mine.id)
    const second = await order(mine.id, ann, [{ sku: "book", quantity: 2 }])
    expect(second).toMatchObject({
      tag: "CouponAlreadyUsed",
      error: { orderId: first.ok ? first.value.id : "" }
    })
  })

  test("a fixed discount up to half of the total is given; above half it is refused, and the coupon stays", async () => {
    const half = await couponOf(ann, { discount: { kind: "fixed", amountMinor: 499 } })
    expect(await order(half.id)).toMatchObject({ ok: true, value: { discountMinor: 499, totalMinor: 500 } })
    const more = await couponOf(ann, { discount: { kind: "fixed", amountMinor: 500 } })
    expect(await order(more.id)).toMatchObject({
      tag: "CouponDiscountTooLarge",
      error: { discountMinor: 500, maximumMinor: 499 }
    })
    expect((await order(more.id, ann, [{ sku: "book", quantity: 2 }])).ok).toBe(true)
  })

  test("an order under the minimum, or so small that nothing would come off", async () => {
    const minimum = await couponOf(ann, { minimumOrderMinor: 1_000 })
    expect(await order(minimum.id)).toMatchObject({
      tag: "CouponMinimumNotMet",
      error: { priceMinor: 999, minimumMinor: 1_000 }
    })
    const small = await couponOf(ann, { discount: { kind: "percent", percent: 3 } })
    const free = await order(small.id, ann, [{ sku: "gift", quantity: 1 }])
    expect(free).toMatchObject({ tag: "CouponMinimumNotMet", error: { priceMinor: 0, minimumMinor: 34 } })
  })

  test("a coupon that is expired", async () => {
    const mine = await couponOf(ann, {})
    await shop.sql.query("UPDATE user_coupons SET expires_at = '2020-01-01' WHERE id = ?", [bytesOf(mine.id)])
    expect(await order(mine.id)).toMatchObject({ tag: "CouponExpired", status: 412 })
  })

  test("a paused or finished campaign does not take back what was issued", async () => {
    const mine = await couponOf(ann, {})
    await shop.ok(contract.admin.pauseCoupon, { couponId: mine.couponId }, shop.admin)
    await shop.sql.query("UPDATE coupons SET ends_at = '2020-01-02', starts_at = '2020-01-01' WHERE id = ?", [
      bytesOf(mine.couponId)
    ])
    expect((await order(mine.id)).ok).toBe(true)
  })

  test("a refused order leaks neither stock nor the coupon: unknown second line, coupon refused after the stock was taken", async () => {
    const mine = await couponOf(ann, { minimumOrderMinor: 1_000_000 })
    const before = await shop.stockOf("book")
    const unknown = await order(mine.id, ann, [
      { sku: "book", quantity: 1 },
      { sku: "unknown", quantity: 1 }
    ])
    expect(unknown).toMatchObject({ tag: "ProductNotFound" })
    expect(await order(mine.id)).toMatchObject({ tag: "CouponMinimumNotMet" })
    expect(await shop.stockOf("book")).toBe(before)
    const { items } = await shop.ok(contract.coupons.mine, { limit: 1 }, ann)
    expect(items[0]).not.toHaveProperty("orderId")
  })

  test("a retry of an order with a coupon gets the same order, not CouponAlreadyUsed", async () => {
    const mine = await couponOf(ann, {})
    const ask = () =>
      shop.ok(
        contract.orders.create,
        { lines: [{ sku: "book", quantity: 1 }], userCouponId: mine.id },
        { token: ann.token, idempotencyKey: `order with ${mine.id}`.replaceAll(" ", "-") }
      )
    expect(await ask()).toEqual(await ask())
  })
})
