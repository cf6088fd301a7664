import { Result } from "effect"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { accepted, expectFairDecision, NOW, userId } from "../../../test/decisions.ts"
import { changePasswords, registerUsers } from "./service.ts"

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

test("a password is changed by whoever gave the one that is stored, and of several at once by the first", () => {
  const stored = new Map([0, 1].map((n) => [userId(n), { passwordHash: "stored" }] as const))
  const change = fc.record({
    user: fc.nat(2),
    verifiedHash: fc.constantFrom("stored", "stale", undefined),
    newHash: fc.constantFrom("stored", "a", "b")
  })
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const asked = changes.map(({ user, ...hashes }) => ({
        caller: { userId: userId(user), role: "user" as const, sessionId: userId(user) as never },
        ...hashes
      }))
      expectFairDecision(asked, (some) => changePasswords(stored, [...some]))
      const decided = changePasswords(stored, asked)
      const hashes = new Map<string, string>([...stored].map(([id, { passwordHash }]) => [id, passwordHash]))
      for (const [n, { caller, newHash, verifiedHash }] of asked.entries()) {
        const isRight = verifiedHash !== undefined && hashes.get(caller.userId) === verifiedHash
        expect(Result.isSuccess(decided[n]!)).toBe(isRight)
        if (isRight) hashes.set(caller.userId, newHash)
      }
    })
  )
})
