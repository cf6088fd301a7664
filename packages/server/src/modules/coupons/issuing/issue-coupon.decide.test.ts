import { AmountMinor, type Coupon, CouponId } from "@holdfast/domain"
import { Result } from "effect"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  accepted,
  expectDecidedOneByOne,
  expectFairDecision,
  NOW,
  userCouponId,
  userId,
  withEntry
} from "../../../../test/decisions.ts"
import { type IssuedCoupon, issueCoupons, type LockedCampaigns } from "./issue-coupon.ts"

const couponId = (n: number) => CouponId.make(`01890000-0000-7000-8005-${String(n).padStart(12, "0")}`)

const campaign = fc
  // Most campaigns are open, so that users meet in them.
  .record({
    n: fc.nat(1),
    quantity: fc.nat(6),
    paused: fc.nat(4).map((one) => one === 0),
    startsIn: fc.integer({ min: -2, max: 1 })
  })
  .chain((drawn) => fc.nat(drawn.quantity).map((issued) => ({ ...drawn, issued })))
  .map(({ issued, n, paused, quantity, startsIn }): Coupon => ({
    id: couponId(n),
    name: "first come",
    discount: { kind: "percent", percent: 10 },
    minimumOrderMinor: AmountMinor.make(0),
    quantity,
    issued,
    startsAt: new Date(NOW.getTime() + startsIn),
    endsAt: new Date(NOW.getTime() + startsIn + 2),
    validDays: 1,
    paused,
    createdAt: NOW
  }))

const campaigns = fc.array(campaign).map((all) => new Map(all.map((one) => [one.id, one])))
const requests = fc.array(fc.record({ coupon: fc.nat(2), user: fc.nat(3) }), { maxLength: 14 }).map((drawn) =>
  drawn.map(({ coupon, user }, index) => ({
    id: userCouponId(index),
    couponId: couponId(coupon),
    userId: userId(user)
  }))
)

describe("issuing coupons", () => {
  const lockedOf = (all: ReadonlyMap<CouponId, Coupon>) => ({ campaigns: all, earlier: [] })

  test("is fair: later requests change no earlier outcome, and a refused request changes nothing", () => {
    fc.assert(
      fc.property(campaigns, requests, (all, some) =>
        expectFairDecision(some, (items) => issueCoupons(lockedOf(all), items, NOW))
      )
    )
  })

  test("decides a list as it decides one request after the other", () => {
    fc.assert(
      fc.property(campaigns, requests, (all, some) =>
        expectDecidedOneByOne<LockedCampaigns, (typeof some)[number], IssuedCoupon, unknown>(
          lockedOf(all),
          some,
          (state, items) => issueCoupons(state, items, NOW),
          (state, { output }) => {
            const of = state.campaigns.get(output.couponId)!
            return {
              campaigns: withEntry(state.campaigns, of.id, { ...of, issued: of.issued + 1 }),
              earlier: [...state.earlier, output]
            }
          }
        )
      )
    )
  })

  test("issues exactly min(coupons left, users who ask) of an open campaign, one a user", () => {
    fc.assert(
      fc.property(campaigns, requests, (all, some) => {
        const issued = accepted(issueCoupons(lockedOf(all), some, NOW)).map(({ output }) => output)
        for (const { endsAt, id, issued: before, paused, quantity, startsAt } of all.values()) {
          const users = new Set(some.filter((one) => one.couponId === id).map((one) => one.userId))
          const isOpen = !paused && startsAt <= NOW && NOW < endsAt
          const got = issued.filter((one) => one.couponId === id).map((one) => one.userId)
          expect(new Set(got).size).toBe(got.length)
          expect(got).toHaveLength(isOpen ? Math.min(quantity - before, users.size) : 0)
          expect(got).toEqual([...users].slice(0, got.length))
        }
      })
    )
  })

  test("tells a user who has the coupon already which one it is", () => {
    fc.assert(
      fc.property(campaigns, requests, (all, some) => {
        const outcomes = issueCoupons(lockedOf(all), some, NOW)
        outcomes.forEach((outcome, index) => {
          if (Result.isSuccess(outcome) || outcome.failure._tag !== "CouponAlreadyIssued") return
          const { couponId: campaignId, userId: user } = some[index]!
          const first = accepted(outcomes.slice(0, index)).find(
            ({ output }) => output.couponId === campaignId && output.userId === user
          )
          expect(outcome.failure.coupon).toEqual(first?.output)
        })
      })
    )
  })
})
