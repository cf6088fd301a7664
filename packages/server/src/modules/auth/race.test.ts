import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("sign-ups race for an e-mail", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  // Guarantees: an e-mail belongs to one user, however many sign up with it at the same moment.
  test("20 sign-ups of one e-mail, written in two ways: one user, 19 EmailTaken", async () => {
    const result = await race(20, (caller) =>
      shop.ok(contract.auth.register, {
        email: caller % 2 === 0 ? "same@example.com" : " SAME@example.com",
        password: "a password"
      })
    )
    expectExactly(result, 1)
    expectExactly(result, 19, "EmailTaken")
  })

  // Guarantees: a sign-up that is sent again with its key gets its one answer, also while the first is under way.
  test("20 times the same sign-up with one idempotency key: one user, 20 equal answers", async () => {
    const input = { email: "again@example.com", password: "a password" }
    const result = await race(20, () => shop.ok(contract.auth.register, input, { idempotencyKey: "sign-up" }))
    expectExactly(result, 20)
    expect(new Set(result.fulfilled.map(({ value }) => value.id)).size).toBe(1)
  })
})
