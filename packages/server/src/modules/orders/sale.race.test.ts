import { contract } from "@holdfast/domain"
import { expectExactly, race } from "@holdfast/testkit"
import { randomUUID } from "node:crypto"
import { describe, expect, test } from "vitest"
import { Refused, Shop, type TestUser } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"

/** How long baskets in opposite orders are bought; a soak sets more. */
const BASKETS_MS = Number(process.env["HOLDFAST_TEST_BASKETS_MS"] ?? 5_000)

describe("a sale on two servers", () => {
  let shop: Shop
  let users: ReadonlyArray<TestUser>
  useShop({ servers: 2 }, async (opened) => {
    shop = opened
    users = await shop.newUsers(200, 10_000)
  })

  /**
   * As the SDK does it: whoever is told to come back, because hundreds wait for one row on a slow machine, comes back
   * with the same key.
   */
  const placeSurely = async (user: TestUser, lines: ReadonlyArray<{ sku: string; quantity: number }>) => {
    const options = { token: user.token, idempotencyKey: randomUUID() }
    for (;;) {
      try {
        return await shop.ok(contract.orders.create, { lines }, options)
      } catch (error) {
        if (!(error instanceof Refused) || error._tag !== "ServiceUnavailable") throw error
      }
    }
  }
  const place = (user: TestUser, lines: ReadonlyArray<{ sku: string; quantity: number }>) =>
    shop.ok(contract.orders.create, { lines }, user)

  // Guarantees: neither one too many nor one too few, in any of 20 sales.
  test(
    "50 units, 200 buyers at once, 20 times: 50 orders, 150 OutOfStock, 0 left",
    { timeout: 600_000 },
    async () => {
      for (let sale = 0; sale < 20; sale++) {
        const sku = await shop.newProduct(`limited-${sale}`, 50)
        const result = await race(200, (caller) => placeSurely(users[caller]!, [{ sku, quantity: 1 }]), {
          timeoutMs: 120_000
        })
        expectExactly(result, 50)
        expectExactly(result, 150, "OutOfStock")
        expect(await shop.stockOf(sku)).toBe(0)
      }
    }
  )

  // Guarantees: units that do not fit an order's quantity stay for those whom they fit.
  test("50 units, 100 buyers of 1 to 3 at once: everything is sold, and every refusal was right", async () => {
    const sku = await shop.newProduct("mixed", 50)
    const result = await race(100, (caller) =>
      placeSurely(users[caller]!, [{ sku, quantity: (caller % 3) + 1 }])
    )
    const sold = result.fulfilled.reduce((sum, { value }) => sum + value.items[0]!.quantity, 0)
    expect(await shop.stockOf(sku)).toBe(50 - sold)
    expectExactly(result, result.rejected.length, "OutOfStock")
    // Whoever wanted one unit was refused only when there was none left.
    const refusedSingles = result.rejected.filter(({ caller }) => caller % 3 === 0)
    if (refusedSingles.length > 0) expect(sold).toBe(50)
  })

  test("20 orders, each paid 5 times at once: 20 charges, 100 answers, identical by order, none of them a 5xx", async () => {
    const sku = await shop.newProduct("charged", 100, 10)
    const buyers = users.slice(0, 20)
    const orders = await Promise.all(
      buyers.map(async (user) => (await place(user, [{ sku, quantity: 1 }])).id)
    )
    const statuses: Array<number> = []
    const result = await race(100, async (caller) => {
      const user = buyers[caller % 20]!
      const orderId = orders[caller % 20]!
      for (;;) {
        const answer = await shop.call(contract.payments.process, { orderId }, user)
        statuses.push(answer.status)
        if (answer.ok) return answer.value
        expect(answer.tag).toBe("RequestInProgress")
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    })
    expectExactly(result, 100)
    expect(statuses.filter((status) => status >= 500)).toEqual([])
    for (const orderId of orders) {
      const answers = result.fulfilled.filter(({ value }) => value.orderId === orderId)
      expect(answers).toHaveLength(5)
      expect(new Set(answers.map(({ value }) => JSON.stringify(value))).size).toBe(1)
    }
    const [rows] = await shop.sql.query("SELECT COUNT(*) AS n FROM point_ledger WHERE kind = 'payment'")
    expect((rows as Array<{ n: number }>)[0]!.n).toBe(20)
  })

  // Guarantees: two baskets with the same goods lock them in the same order, whatever order they were written in.
  test(
    "baskets [A,B] and [B,A] by 64 workers: no deadlock reaches a caller",
    { timeout: 120_000 + BASKETS_MS },
    async () => {
      const [a, b] = [await shop.newProduct("A", 1_000_000), await shop.newProduct("B", 1_000_000)]
      const until = performance.now() + BASKETS_MS
      const result = await race(
        64,
        async (caller) => {
          let placed = 0
          while (performance.now() < until) {
            const lines = [
              { sku: a, quantity: 1 },
              { sku: b, quantity: 2 }
            ]
            await place(users[caller]!, caller % 2 === 0 ? lines : lines.toReversed())
            placed += 1
          }
          return placed
        },
        { timeoutMs: BASKETS_MS + 60_000 }
      )
      expectExactly(result, 64)
      const placed = result.fulfilled.reduce((sum, { value }) => sum + value, 0)
      expect(await shop.stockOf(a)).toBe(1_000_000 - placed)
      expect(await shop.stockOf(b)).toBe(1_000_000 - 2 * placed)
    }
  )

  test("the same order 20 times at once with 20 keys: 20 orders, one after another, or a refusal that says so", async () => {
    const sku = await shop.newProduct("again", 100)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        shop.call(
          contract.orders.create,
          { lines: [{ sku, quantity: 1 }] },
          { token: users[0]!.token, idempotencyKey: `key-${n}` }
        )
      )
    )
    const placed = answers.flatMap((answer) => (answer.ok ? [answer.value.id] : []))
    expect(placed.length).toBeGreaterThan(0)
    expect(new Set(placed).size).toBe(placed.length)
    for (const answer of answers) if (!answer.ok) expect(answer.tag).toBe("RequestInProgress")
    expect(await shop.stockOf(sku)).toBe(100 - placed.length)
  })
})

describe("a pool of two connections", () => {
  // Known from comparable systems: a pool exhausted by transactions that each wait for a second connection.
  test("40 orders, payments and cancellations at once all get through: nobody holds one and waits for another", async () => {
    const shop = await Shop.open({ servers: 2, settings: { databaseConnections: 2, databaseWaitMs: 60_000 } })
    try {
      const sku = await shop.newProduct("tea", 1_000, 10)
      const buyers = await shop.newUsers(40, 1_000)
      const result = await race(40, async (caller) => {
        const user = buyers[caller]!
        const { id } = await shop.ok(contract.orders.create, { lines: [{ sku, quantity: 1 }] }, user)
        await shop.ok(contract.payments.process, { orderId: id }, user)
        return shop.ok(contract.orders.cancel, { orderId: id }, user)
      })
      expectExactly(result, 40)
      expect(await shop.stockOf(sku)).toBe(1_000)
      await shop.expectRightBooks()
    } finally {
      await shop.stop()
    }
  })
})
