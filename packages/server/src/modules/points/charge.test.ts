import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { beforeEach, describe, expect, test } from "vitest"
import { daylight } from "../../../test/calendar.ts"
import { Shop, testSettings, type TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

describe("charges", () => {
  let shop: Shop
  useShop({ servers: 2 }, (opened) => (shop = opened))

  beforeEach(() => daylight(60_000))

  const charge = (user: TestUser, amount: number, idempotencyKey?: string) =>
    shop.call(
      contract.points.charge,
      { amount },
      { token: user.token, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
    )
  const balanceOf = async (user: TestUser) => (await shop.ok(contract.points.balance, {}, user)).balance
  /** Makes the user's charges older, as if time had passed. */
  const age = (user: TestUser, interval: string) =>
    shop.sql.query(
      `UPDATE point_ledger SET created_at = created_at - INTERVAL ${interval} WHERE user_id = UNHEX(?)`,
      [user.id.replaceAll("-", "")]
    )

  test("a charge adds what was asked for, and the history says so", async () => {
    const user = await shop.newUser()
    expect(await charge(user, 1_000)).toMatchObject({ ok: true, value: { balance: 1_000 } })
    expect(await charge(user, 1_000_000)).toMatchObject({ ok: true, value: { balance: 1_001_000 } })
    const { items } = await shop.ok(contract.points.history, {}, user)
    expect(items).toMatchObject([
      { kind: "charge", delta: 1_000_000, balanceAfter: 1_001_000 },
      { kind: "charge", delta: 1_000, balanceAfter: 1_000 }
    ])
  })

  test.each([
    [999, "minimum"],
    [1, "minimum"],
    [1_001_000, "maximum"],
    [1_500, "step"]
  ])("a charge of %d is refused by the %s", async (amount, limit) => {
    const user = await shop.newUser()
    expect(await charge(user, amount)).toMatchObject({
      status: 422,
      tag: "ChargeAmountNotAllowed",
      error: { amount, limit, minimum: 1_000, maximum: 1_000_000, step: 1_000 }
    })
    expect(await balanceOf(user)).toBe(0)
  })

  test.each([[0], [-1_000], [1_000.5], ["1000"], [2e12], [null]])(
    "an amount of %j is no amount",
    async (amount) => {
      const user = await shop.newUser()
      expect(await charge(user, amount as number)).toMatchObject({
        tag: "InvalidInput",
        error: { issues: [{ path: "amount" }] }
      })
    }
  )

  // Guarantees: the limit is counted behind the account's row lock, so charges at once cannot all see room for one more.
  test("5 charges at once at a limit of 3 a day: 3 charged, 2 ChargeLimitExceeded, by both servers", async () => {
    for (let round = 0; round < 10; round++) {
      const user = await shop.newUser()
      const result = await race(5, () => shop.ok(contract.points.charge, { amount: 1_000 }, user))
      expectExactly(result, 3)
      expectExactly(result, 2, "ChargeLimitExceeded")
      expect(await balanceOf(user)).toBe(3_000)
    }
  })

  test("the fourth charge of a day is refused until the next day", async () => {
    const user = await shop.newUser()
    for (let n = 0; n < 3; n++) await charge(user, 1_000)
    expect(await charge(user, 1_000)).toMatchObject({
      status: 429,
      tag: "ChargeLimitExceeded",
      error: { limit: "day", maximum: 3, resetsAt: utcDate(0, 1) }
    })
    await age(user, "1 DAY")
    expect(await charge(user, 1_000)).toMatchObject({ ok: true, value: { balance: 4_000 } })
  })

  test("a shop without top-ups refuses them", async () => {
    const charges = { ...testSettings("", "").charges, isOn: false }
    await using without = await Shop.open({ settings: { charges } })
    const user = await without.newUser()
    expect(await without.call(contract.points.charge, { amount: 1_000 }, user)).toMatchObject({
      status: 403,
      tag: "ChargesDisabled"
    })
    expect(await without.ok(contract.points.balance, {}, user)).toEqual({ balance: 0 })
  })

  // With a limit of a day that nobody reaches: on the first of a month, all of its charges are today's.
  test("the eleventh charge of a month is refused until the next month, however many fit into a day", async () => {
    const charges = { ...testSettings("", "").charges, perDay: 1_000 }
    await using monthly = await Shop.open({ servers: 2, settings: { charges } })
    const user = await monthly.newUser()
    const ask = () => monthly.call(contract.points.charge, { amount: 1_000 }, user)
    for (let n = 0; n < 10; n++) expect(await ask()).toMatchObject({ ok: true })
    expect(await ask()).toMatchObject({
      status: 429,
      tag: "ChargeLimitExceeded",
      error: { limit: "month", maximum: 10, resetsAt: utcDate(1) }
    })
    expect(await monthly.ok(contract.points.balance, {}, user)).toEqual({ balance: 10_000 })
    await monthly.sql.query(
      "UPDATE point_ledger SET created_at = DATE_FORMAT(UTC_DATE(), '%Y-%m-01') - INTERVAL 1 SECOND"
    )
    expect(await ask()).toMatchObject({ ok: true, value: { balance: 11_000 } })
    await monthly.expectRightBooks()
  })

  /** Midnight (UTC) so many days from now; or the first of the month so many months from now. */
  const utcDate = (months: number, days?: number): string => {
    const now = new Date()
    const day = days === undefined ? 1 : now.getUTCDate() + days
    return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, day)).toISOString()
  }

  test("a grant does not count as a charge, and a retry with the same key is no second one", async () => {
    const user = await shop.newUser(5_000)
    const first = await charge(user, 2_000, "charge-1")
    expect(await charge(user, 2_000, "charge-1")).toEqual(first)
    await charge(user, 1_000)
    await charge(user, 1_000)
    expect(await balanceOf(user)).toBe(9_000)
    const refused = await charge(user, 1_000, "charge-4")
    expect(refused).toMatchObject({ tag: "ChargeLimitExceeded" })
    await age(user, "40 DAY")
    // The refusal was the answer of its key; a new key is a new attempt.
    expect(await charge(user, 1_000, "charge-4")).toMatchObject({ tag: "ChargeLimitExceeded" })
    expect(await charge(user, 1_000, "charge-5")).toMatchObject({ ok: true, value: { balance: 10_000 } })
  })

  test("the history comes in pages, each movement once, and is one's own", async () => {
    const user = await shop.newUser(100)
    for (let n = 0; n < 3; n++) await charge(user, 1_000)
    await shop.ok(contract.admin.grantPoints, { userId: user.id, amount: 7, reason: "a gift" }, shop.admin)
    const first = await shop.ok(contract.points.history, { limit: 3 }, user)
    const second = await shop.ok(contract.points.history, { limit: 3, cursor: first.nextCursor! }, user)
    expect([...first.items, ...second.items].map(({ balanceAfter, kind }) => [kind, balanceAfter])).toEqual([
      ["grant", 3_107],
      ["charge", 3_100],
      ["charge", 2_100],
      ["charge", 1_100],
      ["grant", 100]
    ])
    expect(first.items[0]).toMatchObject({ reason: "a gift", delta: 7 })
    expect(second.nextCursor).toBeUndefined()
    expect((await shop.ok(contract.points.history, {}, await shop.newUser())).items).toEqual([])
  })

  test.each(["x", "{}", "eyJtb3ZlbWVudCI6IjEifQ", "a".repeat(513)])(
    "the cursor %j is refused",
    async (cursor) => {
      const user = await shop.newUser()
      expect(await shop.call(contract.points.history, { cursor }, user)).toMatchObject({
        tag: "InvalidInput",
        error: { issues: [{ path: "cursor" }] }
      })
    }
  )
})
