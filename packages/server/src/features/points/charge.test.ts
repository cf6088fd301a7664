import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Shop, type TestUser } from "../../testing/shop.ts"

describe("charges", () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open({ servers: 2 })
  })
  afterAll(async () => {
    await shop.expectRightBooks()
    await shop.stop()
  })

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

  test("the fourth charge of a day is refused until the next day, the eleventh of a month until the next month", async () => {
    const user = await shop.newUser()
    for (let n = 0; n < 3; n++) await charge(user, 1_000)
    const [[clock]] = (await shop.sql.query(
      "SELECT UTC_DATE() + INTERVAL 1 DAY AS tomorrow, LAST_DAY(UTC_DATE()) + INTERVAL 1 DAY AS next_month, DAY(UTC_DATE()) AS day"
    )) as unknown as [[{ tomorrow: Date; next_month: Date; day: number }]]
    expect(await charge(user, 1_000)).toMatchObject({
      status: 429,
      tag: "ChargeLimitExceeded",
      error: { limit: "day", maximum: 3, resetsAt: clock.tomorrow.toISOString() }
    })
    await age(user, "1 DAY")
    if (clock.day === 1) return // Yesterday was another month.
    for (let n = 0; n < 3; n++) expect(await charge(user, 1_000)).toMatchObject({ ok: true })
    // Seven more of this month, made as old as today's morning allows.
    await shop.sql.query(
      "INSERT INTO point_ledger (user_id, delta, balance_after, kind, created_at) SELECT user_id, 1000, balance_after + 1000 * n.n, 'charge', UTC_DATE() - INTERVAL 1 SECOND FROM point_ledger l JOIN (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) n WHERE l.id = (SELECT MAX(id) FROM point_ledger WHERE user_id = UNHEX(?)) ORDER BY n.n",
      [user.id.replaceAll("-", "")]
    )
    await shop.sql.query("UPDATE point_accounts SET balance = 10000 WHERE user_id = UNHEX(?)", [
      user.id.replaceAll("-", "")
    ])
    await shop.sql.query(
      "UPDATE point_ledger SET created_at = UTC_DATE() - INTERVAL 1 SECOND WHERE user_id = UNHEX(?) AND created_at >= UTC_DATE()",
      [user.id.replaceAll("-", "")]
    )
    expect(await charge(user, 1_000)).toMatchObject({
      tag: "ChargeLimitExceeded",
      error: { limit: "month", maximum: 10, resetsAt: clock.next_month.toISOString() }
    })
    expect(await balanceOf(user)).toBe(10_000)
  })

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
    await shop.ok(contract.points.grant, { userId: user.id, amount: 7, reason: "a gift" }, shop.admin)
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
