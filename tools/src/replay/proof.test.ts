import type { Sku } from "@holdfast/domain"
import { describe, expect, test } from "vitest"
import { parseDecimal } from "./decimal.ts"
import { makePlan, type Plan, type PlannedOrder } from "./plan.ts"
import { type Account, type Books, proveReplay } from "./proof.ts"
import type { Row } from "./row.ts"
import type { OrderOutcome } from "./calls.ts"

const row = (invoice: string, sku: string, quantity: number, customer: string): Row => ({
  invoice,
  sku: sku as Sku,
  description: sku,
  quantity,
  priceMinor: 100,
  hasPositivePrice: true,
  customer
})

/** Two customers who order tea and mugs, more than there are at a factor of 0.5. */
const rows = [
  row("1", "TEA", 4, "7"),
  row("2", "TEA", 6, "8"),
  row("3", "MUG", 2, "8"),
  row("C4", "MUG", -1, "8")
]
const planWith = (factor: string): Plan => makePlan({ rows, malformed: new Map() }, parseDecimal(factor)!)

/** The answers and books of a correct shop. With half the stock, it refuses invoices 2 and 3. */
const rightStory = (plan: Plan) => {
  const isScarce = plan.returns.length === 0
  const outcomes = new Map<PlannedOrder, OrderOutcome>(
    plan.orders.map((order) => [
      order,
      isScarce && order.invoice !== "1"
        ? { kind: "refused", reason: "OutOfStock" }
        : { kind: "paid", orderId: `id-${order.invoice}`, amountMinor: order.totalMinor }
    ])
  )
  const stock = new Map(
    isScarce
      ? [
          ["TEA", 1],
          ["MUG", 1]
        ]
      : [
          ["TEA", 0],
          ["MUG", 1]
        ]
  )
  const accounts = new Map(
    plan.users.map(({ name, points }) => [name, accountOf(plan, outcomes, name, points)])
  )
  return { outcomes, books: { stock, accounts } satisfies Books }
}

const accountOf = (
  plan: Plan,
  outcomes: ReadonlyMap<PlannedOrder, OrderOutcome>,
  name: string,
  points: number
): Account => {
  const orders = plan.orders.flatMap((order) => {
    const outcome = outcomes.get(order)
    if (order.user !== name || outcome?.kind !== "paid") return []
    return [{ id: outcome.orderId, status: "PAID", totalMinor: order.totalMinor, items: order.lines }]
  })
  return { balance: points - orders.reduce((sum, { totalMinor }) => sum + totalMinor, 0), orders }
}

const badChecks = (plan: Plan, outcomes: ReadonlyMap<PlannedOrder, OrderOutcome>, books: Books) =>
  proveReplay(plan, outcomes, books).flatMap(({ name, ok }) => (ok ? [] : [name]))

describe("the replay's proof", () => {
  test.each(["1", "0.5"])("holds for a correct shop at factor %s", (factor) => {
    const plan = planWith(factor)
    const { books, outcomes } = rightStory(plan)
    const checks = proveReplay(plan, outcomes, books)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
    expect(checks.every(({ checked, name }) => checked > 0 || name === "replay: refusals")).toBe(true)
  })

  const plan = planWith("0.5")
  const { books, outcomes } = rightStory(plan)
  const [first, second] = plan.orders as [PlannedOrder, PlannedOrder]
  const withStock = (sku: string, units: number): Books => ({
    ...books,
    stock: new Map(books.stock).set(sku, units)
  })
  const withAccount = (name: string, change: (account: Account) => Account): Books => ({
    ...books,
    accounts: new Map(books.accounts).set(name, change(books.accounts.get(name)!))
  })
  const withOutcome = (order: PlannedOrder, outcome: OrderOutcome) => new Map(outcomes).set(order, outcome)
  const twice = ({ balance, orders }: Account): Account => ({
    balance,
    orders: [...orders, { ...orders[0]!, id: "id-again" }]
  })
  const unpaid = ({ balance, orders }: Account): Account => ({
    balance,
    orders: orders.map((order) => ({ ...order, status: "PENDING" }))
  })
  const otherLines = ({ balance, orders }: Account): Account => ({
    balance,
    orders: orders.map((order) => ({ ...order, items: [{ sku: "TEA", quantity: 3 }] }))
  })

  test.each<[string, string, ReadonlyMap<PlannedOrder, OrderOutcome>, Books]>([
    ["a unit too many", "replay: stock", outcomes, withStock("TEA", 2)],
    ["a unit too few", "replay: stock", outcomes, withStock("TEA", 0)],
    ["a missing product", "replay: stock", outcomes, { ...books, stock: new Map([["TEA", 1]]) }],
    ["enough stock for an order that was refused", "replay: refusals", outcomes, withStock("TEA", 6)],
    [
      "a refusal for another reason",
      "replay: refusals",
      withOutcome(second, { kind: "refused", reason: "InvalidInput" }),
      books
    ],
    ["an order placed twice", "replay: orders", outcomes, withAccount("customer-7", twice)],
    [
      "a placed order that is lost",
      "replay: orders",
      outcomes,
      withAccount("customer-7", ({ balance }) => ({ balance, orders: [] }))
    ],
    ["an unpaid order in the books", "replay: orders", outcomes, withAccount("customer-7", unpaid)],
    ["an order with other lines", "replay: orders", outcomes, withAccount("customer-7", otherLines)],
    [
      "an order without an answer",
      "replay: answers",
      new Map([...outcomes].filter(([order]) => order !== first)),
      books
    ],
    [
      "an order that was not paid",
      "replay: answers",
      withOutcome(first, { kind: "unpaid", orderId: "id-1", reason: "OrderExpired" }),
      books
    ],
    [
      "a point too many",
      "replay: balances",
      outcomes,
      withAccount("customer-8", ({ balance, orders }) => ({ balance: balance + 1, orders }))
    ]
  ])("finds %s", (_damage, name, damagedOutcomes, damagedBooks) => {
    expect(badChecks(plan, damagedOutcomes, damagedBooks)).toContain(name)
  })

  test("finds negative stock even when the sum is correct", () => {
    const full = planWith("1")
    const story = rightStory(full)
    const impossible = {
      ...full,
      products: full.products.map((product) => ({ ...product, initialStock: 5 }))
    }
    const stock = new Map([
      ["TEA", -5],
      ["MUG", 4]
    ])
    const stockCheck = proveReplay(impossible, story.outcomes, { ...story.books, stock }).find(
      ({ name }) => name === "replay: stock"
    )
    expect(stockCheck).toMatchObject({ ok: false, problems: [{ sku: "TEA", actual: -5 }] })
  })

  test("finds any refusal at factor 1", () => {
    const full = planWith("1")
    const story = rightStory(full)
    const refused = new Map(story.outcomes).set(full.orders[0]!, { kind: "refused", reason: "OutOfStock" })
    const stock = new Map(story.books.stock).set("TEA", 4)
    expect(badChecks(full, refused, { ...story.books, stock })).toContain("replay: refusals")
  })
})
