import { AmountMinor, type Coupon, CouponId, MAXIMUM_COUPONS } from "@holdfast/domain"
import fc from "fast-check"
import { expect, test } from "vitest"
import { accepted, expectFairDecision, NOW } from "../../../../test/decisions.ts"
import { raiseQuantities } from "./service.ts"

test("raises of a campaign add up and never pass the maximum", () => {
  const couponId = CouponId.make("01890000-0000-7000-8005-000000000000")
  const quantity = fc.integer({ min: MAXIMUM_COUPONS - 20, max: MAXIMUM_COUPONS })
  const raises = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 8 })
  fc.assert(
    fc.property(quantity, raises, (before, drawn) => {
      const campaign = { ...open, id: couponId, quantity: before }
      const requests = drawn.map((additional) => ({ couponId, additional }))
      const decide = (some: typeof requests) => raiseQuantities(new Map([[couponId, campaign]]), some)
      expectFairDecision(requests, (some) => decide([...some]))
      let running = before
      for (const { additional, output } of accepted(decide(requests))) {
        running += additional
        expect(output.quantity).toBe(running)
        expect(running).toBeLessThanOrEqual(MAXIMUM_COUPONS)
      }
    })
  )
})

const open: Omit<Coupon, "id" | "quantity"> = {
  name: "many",
  discount: { kind: "percent", percent: 10 },
  minimumOrderMinor: AmountMinor.make(0),
  issued: 0,
  startsAt: NOW,
  endsAt: NOW,
  validDays: 1,
  paused: false,
  createdAt: NOW
}
