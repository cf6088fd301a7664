import * as fc from "fast-check"
import { expect, test } from "vitest"
import { accepted, expectFairDecision, NOW, userId } from "../../../test/decisions.ts"
import { registerUsers } from "./service.ts"

test("one user for each e-mail: the first who asks, unless it was taken before", () => {
  const email = fc.nat(4).map((n) => `user${n}@shop.test`)
  fc.assert(
    fc.property(fc.array(email), fc.array(email, { maxLength: 10 }), (taken, asked) => {
      const users = asked.map((one, n) => ({
        user: { id: userId(n), email: one, role: "user" as const },
        passwordHash: ""
      }))
      const decide = (some: typeof users) => registerUsers(new Set(taken), some, NOW)
      expectFairDecision(users, (some) => decide([...some]))
      const free = new Set(asked.filter((one) => !taken.includes(one)))
      expect(accepted(decide(users)).map(({ output }) => output.email)).toEqual([...free])
    })
  )
})
