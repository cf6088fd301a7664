import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  accepted,
  expectDecidedOneByOne,
  expectFairDecision,
  NOW,
  userId,
  withEntry
} from "../../../test/decisions.ts"
import { topUp } from "./service.ts"

const policy = { minimum: 1, maximum: 100, step: 1, perDay: 3, perMonth: 5 }

const account = fc.record({
  balance: fc.oneof(fc.nat(100), fc.constant(Number.MAX_SAFE_INTEGER - 50)),
  spent: fc.oneof(fc.constant(0), fc.nat(60), fc.constant(Number.MAX_SAFE_INTEGER - 50)),
  today: fc.nat(3),
  before: fc.nat(5)
})
const locked = fc.tuple(account, account).map((accounts) => ({
  balances: new Map(accounts.map(({ balance }, n) => [userId(n), balance])),
  spent: new Map(accounts.map(({ spent }, n) => [userId(n), spent])),
  counts: new Map(
    accounts.map(({ before, today }, n) => [userId(n), { now: NOW, today, thisMonth: today + before }])
  )
}))
const topUps = fc.array(
  fc.record({ user: fc.nat(1), amount: fc.integer({ min: 1, max: 100 }) }).map(({ amount, user }) => ({
    userId: userId(user),
    amount,
    policy
  })),
  { maxLength: 12 }
)

describe("topping up", () => {
  test("is fair: later top-ups change no earlier outcome, and a refused one changes nothing", () => {
    fc.assert(
      fc.property(locked, topUps, (state, requests) =>
        expectFairDecision(requests, (some) => topUp(state, some))
      )
    )
  })

  test("decides a list as it decides one top-up after the other", () => {
    fc.assert(
      fc.property(locked, topUps, (state, requests) =>
        expectDecidedOneByOne(state, requests, topUp, ({ balances, counts, spent }, { movement, output }) => {
          const { now, thisMonth, today } = counts.get(movement.userId)!
          const count = { now, today: today + 1, thisMonth: thisMonth + 1 }
          return {
            balances: withEntry(balances, movement.userId, output.balance),
            counts: withEntry(counts, movement.userId, count),
            spent
          }
        })
      )
    )
  })

  test("stays within the limits of the day and the month and the maximum balance, and gives each balance on", () => {
    fc.assert(
      fc.property(locked, topUps, (state, requests) => {
        const running = new Map(state.balances)
        const times = new Map<string, number>()
        for (const { movement, output } of accepted(topUp(state, requests))) {
          const balanceAfter = running.get(movement.userId)! + movement.delta
          expect([movement.balanceAfter, output.balance]).toEqual([balanceAfter, balanceAfter])
          expect(balanceAfter + state.spent.get(movement.userId)!).toBeLessThanOrEqual(
            Number.MAX_SAFE_INTEGER
          )
          running.set(movement.userId, balanceAfter)
          times.set(movement.userId, (times.get(movement.userId) ?? 0) + 1)
        }
        for (const [user, { thisMonth, today }] of state.counts) {
          const made = times.get(user) ?? 0
          const asked = requests.filter((one) => one.userId === user).length
          const allowed = Math.max(0, Math.min(policy.perDay - today, policy.perMonth - thisMonth))
          expect(made).toBeLessThanOrEqual(allowed)
          if (state.balances.get(user)! + state.spent.get(user)! <= 200)
            expect(made).toBe(Math.min(allowed, asked))
        }
      })
    )
  })
})
