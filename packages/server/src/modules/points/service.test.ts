import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("points", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  const grant = (userId: string, amount: number, idempotencyKey?: string) =>
    shop.call(
      contract.admin.grantPoints,
      { userId, amount, reason: "a gift" },
      { token: shop.admin.token, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
    )

  // Guarantees: no grant is lost and none counts twice, however they interleave.
  test("40 grants at once, half of them repeats: the balance is the sum of the 20", async () => {
    const user = await shop.newUser()
    const result = await race(40, (caller) =>
      shop.ok(
        contract.admin.grantPoints,
        { userId: user.id, amount: 1 + (caller % 20), reason: "a gift" },
        { token: shop.admin.token, idempotencyKey: `grant-${user.id}-${caller % 20}` }
      )
    )
    expectExactly(result, 40)
    const { balance } = await shop.ok(contract.points.balance, {}, { token: user.token })
    expect(balance).toBe((20 * 21) / 2)
  })

  test("only an administrator grants", async () => {
    const user = await shop.newUser()
    const input = { userId: user.id, amount: 5, reason: "a gift" }
    expect(await shop.call(contract.admin.grantPoints, input, { token: user.token })).toMatchObject({
      status: 403,
      tag: "Forbidden",
      error: { requiredRole: "admin" }
    })
    expect(await shop.call(contract.admin.grantPoints, input)).toMatchObject({
      status: 401,
      tag: "Unauthenticated"
    })
    expect(await shop.ok(contract.points.balance, {}, { token: user.token })).toEqual({ balance: 0 })
  })

  test("an unknown user is named, and a balance past the exact numbers is refused", async () => {
    const unknown = "01900000-0000-7000-8000-000000000000"
    expect(await grant(unknown, 5)).toMatchObject({ tag: "UserNotFound", error: { userId: unknown } })
    const user = await shop.newUser()
    await shop.sql.query("UPDATE point_accounts SET balance = 9007199254740990 WHERE user_id = UNHEX(?)", [
      user.id.replaceAll("-", "")
    ])
    expect(await grant(user.id, 2)).toMatchObject({
      tag: "BalanceLimitExceeded",
      error: { balance: 9007199254740990 }
    })
    await shop.sql.query("UPDATE point_accounts SET balance = 0 WHERE user_id = UNHEX(?)", [
      user.id.replaceAll("-", "")
    ])
  })

  test.each([0, -1, 1.5, 1e13, Number.NaN, "5"])("an amount of %s is refused by name", async (amount) => {
    const user = await shop.newUser()
    expect(await grant(user.id, amount as number)).toMatchObject({
      tag: "InvalidInput",
      error: { issues: [{ path: "amount" }] }
    })
  })
})
