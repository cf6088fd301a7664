import type { Sku } from "@holdfast/domain"
import { Arbitrary, Effect, Schema } from "effect"
import { describe, expect, test } from "vitest"
import { parseDecimal } from "./decimal.ts"
import { makePlan, type Plan, PlanError } from "./plan.ts"
import type { Row } from "./row.ts"
import { shuffled } from "./run.ts"

const row = (changes: Partial<Omit<Row, "sku">> & { readonly sku?: string } = {}): Row => ({
  invoice: "1",
  description: "LANTERN",
  quantity: 1,
  priceMinor: 250,
  hasPositivePrice: true,
  customer: "7",
  ...changes,
  sku: (changes.sku ?? "A") as Sku
})

const plan = (rows: ReadonlyArray<Row>, factor = "1"): Plan =>
  makePlan({ rows, malformed: new Map() }, parseDecimal(factor)!)
const reasons = ({ skippedLines }: Plan) => Object.fromEntries(skippedLines)

describe("products", () => {
  test("include every stock code of the file, also of cancellations and skipped rows; case matters", () => {
    const { products } = plan([
      row({ sku: "a" }),
      row({ sku: "A" }),
      row({ invoice: "C2", sku: "M", quantity: -1 }),
      row({ sku: "Z", quantity: -5, hasPositivePrice: false, priceMinor: 0 })
    ])
    expect(products.map(({ sku }) => sku)).toEqual(["a", "A", "M", "Z"])
  })

  test("have the first positive price of the file, on whichever invoice", () => {
    const { products } = plan([
      row({ priceMinor: 0, hasPositivePrice: false }),
      row({ priceMinor: -300, hasPositivePrice: false }),
      row({ invoice: "C9", quantity: -1, priceMinor: 300 }),
      row({ priceMinor: 100 }),
      row({ sku: "B", priceMinor: 0, hasPositivePrice: false })
    ])
    expect(products).toMatchObject([
      { sku: "A", priceMinor: 300 },
      { sku: "B", priceMinor: 0 }
    ])
  })

  test("cost 0 when their first positive price rounds to 0", () => {
    const result = plan([row({ priceMinor: 0, hasPositivePrice: true }), row({ priceMinor: 100 })])
    expect(result.products).toMatchObject([{ priceMinor: 0 }])
    expect(reasons(result)).toEqual({ "product of price 0": 2 })
  })

  test("are named by their first non-empty description, else by their code", () => {
    const { products } = plan([
      row({ description: "" }),
      row({ description: "FIRST" }),
      row({ description: "SECOND" }),
      row({ sku: "B", description: "" }),
      row({ sku: "C", description: `tab\there ${"x".repeat(300)}` })
    ])
    expect(products.map(({ name }) => name)).toEqual(["FIRST", "B", `tab here ${"x".repeat(191)}`])
  })

  test("start with the factor's share of the ordered units, rounded down", () => {
    const rows = [row({ quantity: 5 }), row({ invoice: "2", quantity: 6 }), row({ sku: "B", quantity: 1 })]
    const stock = (factor: string) => plan(rows, factor).products.map(({ initialStock }) => initialStock)
    expect([stock("1"), stock("0.5"), stock("0"), stock("0.29")]).toEqual([
      [11, 1],
      [5, 0],
      [0, 0],
      [3, 0]
    ])
  })

  test("with more stock than a shop can hold are rejected with a clear message", () => {
    const rows = [row({ quantity: 900_000_000 }), row({ invoice: "2", quantity: 900_000_000 })]
    expect(() => plan(rows)).toThrow(PlanError)
    expect(() => plan(rows)).toThrow(/A needs 1800000000 units in stock/)
  })
})

describe("orders", () => {
  test("are the invoices, with the lines of a product merged", () => {
    const { orders } = plan([
      row({ sku: "B", quantity: 2, priceMinor: 10 }),
      row({ sku: "A", quantity: 1, priceMinor: 250 }),
      row({ sku: "B", quantity: 3, priceMinor: 99 }),
      row({ invoice: "2", sku: "A", quantity: 4, customer: undefined })
    ])
    expect(orders).toEqual([
      {
        invoice: "1",
        user: "customer-7",
        lines: [
          { sku: "A", quantity: 1 },
          { sku: "B", quantity: 5 }
        ],
        units: 6,
        totalMinor: 300
      },
      { invoice: "2", user: "guest-2", lines: [{ sku: "A", quantity: 4 }], units: 4, totalMinor: 1000 }
    ])
  })

  test("leave out rows that cannot be sold, and count them by reason", () => {
    const result = plan([
      row({ quantity: 0 }),
      row({ quantity: -3 }),
      row({ sku: "FREE", priceMinor: 0, hasPositivePrice: false }),
      row({ sku: "FREE", quantity: -1, priceMinor: 0, hasPositivePrice: false }),
      row({ quantity: 2 })
    ])
    expect(result.orders).toMatchObject([{ lines: [{ sku: "A", quantity: 2 }] }])
    expect(reasons(result)).toEqual({ "quantity not positive": 3, "product of price 0": 1 })
    expect(result.orderedLines).toBe(1)
  })

  test("do not include an invoice without a line, which is counted", () => {
    const result = plan([row({ quantity: -1 }), row({ invoice: "2" })])
    expect(result.orders.map(({ invoice }) => invoice)).toEqual(["2"])
    expect(result.invoicesWithoutLines).toBe(1)
    expect(result.invoices).toBe(2)
  })

  test("belong to the customer that any row of the invoice names", () => {
    expect(plan([row({ customer: undefined }), row({ customer: "9" })]).orders).toMatchObject([
      { user: "customer-9" }
    ])
  })

  test("include invoices whose number begins with a letter other than C", () => {
    expect(plan([row({ invoice: "A563185" })]).orders).toHaveLength(1)
  })

  test("with a total beyond the safe integers are rejected with a clear message", () => {
    const rows = [row({ quantity: 1_000_000_000, priceMinor: 10_000_000 })]
    expect(() => plan(rows)).toThrow(/prices and quantities are too large/)
  })
})

describe("users", () => {
  test("are all customers, and a guest for each invoice without one, with the points for their orders", () => {
    const { users } = plan([
      row({ invoice: "1", quantity: 2 }),
      row({ invoice: "2", quantity: 3 }),
      row({ invoice: "3", customer: undefined }),
      row({ invoice: "4", customer: undefined }),
      row({ invoice: "C5", customer: "8", quantity: -1 }),
      row({ invoice: "6", customer: undefined, quantity: -1 })
    ])
    expect(users).toEqual([
      { name: "customer-7", points: 1250 },
      { name: "guest-3", points: 250 },
      { name: "guest-4", points: 250 },
      { name: "customer-8", points: 0 },
      { name: "guest-6", points: 0 }
    ])
  })
})

describe("returns", () => {
  const rows = [
    row({ quantity: 5 }),
    row({ invoice: "C2", quantity: -2 }),
    row({ invoice: "C2", quantity: -2 }),
    row({ invoice: "C2", quantity: 0 }),
    row({ invoice: "C2", quantity: 3 }),
    row({ invoice: "C3", sku: "B", quantity: -1, priceMinor: 0, hasPositivePrice: false })
  ]

  test("are the negative lines of cancellations, also of free products", () => {
    const result = plan(rows)
    expect(result.returns).toEqual([
      { invoice: "C2", position: 1, sku: "A", quantity: 2 },
      { invoice: "C2", position: 2, sku: "A", quantity: 2 },
      { invoice: "C3", position: 1, sku: "B", quantity: 1 }
    ])
    expect(reasons(result)).toEqual({ "cancellation without negative quantity": 2 })
  })

  test("are left out and counted when stock is scarce", () => {
    const result = plan(rows, "0.999")
    expect(result.returns).toEqual([])
    expect(reasons(result)).toEqual({
      "cancellation without negative quantity": 2,
      "return with stock below demand": 3
    })
    expect(plan(rows, "1.5").returns).toHaveLength(3)
  })
})

describe("any file", () => {
  const anyRow = Schema.Struct({
    invoice: Schema.Literals(["1", "2", "3", "4", "C5", "C6"]),
    sku: Schema.Literals(["A", "B", "C", "D"]),
    quantity: Schema.Int.check(Schema.isBetween({ minimum: -9, maximum: 99 })),
    priceMinor: Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 500 })),
    customer: Schema.UndefinedOr(Schema.Literals(["7", "8"]))
  })
  const anyFile = Arbitrary.schema(
    Schema.Struct({
      rows: Schema.Array(anyRow),
      factor: Schema.Literals(["0", "0.3", "0.5", "0.99", "1", "2"])
    })
  )
  const holds = async (property: (result: Plan, rows: ReadonlyArray<Row>, factor: string) => boolean) => {
    const checked = Arbitrary.checkEffect(
      anyFile,
      ({ factor, rows }) => {
        const given = rows.map((one) => row({ ...one, hasPositivePrice: one.priceMinor > 0 }))
        return property(plan(given, factor), given, factor)
      },
      { runs: 300, size: 30, seed: "plans" }
    )
    expect(Arbitrary.formatCheckFailure(await Effect.runPromise(checked))).toBeUndefined()
  }
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, number) => total + number, 0)

  test("counts every row exactly once", () =>
    holds(
      ({ orderedLines, returns, skippedLines }, rows) =>
        orderedLines + returns.length + sum(skippedLines.values()) === rows.length
    ))

  test("counts every invoice exactly once", () =>
    holds(({ invoices, invoicesWithoutLines, orders }, rows) => {
      const cancellations = new Set(
        rows.map(({ invoice }) => invoice).filter((invoice) => invoice.startsWith("C"))
      ).size
      return orders.length + invoicesWithoutLines + cancellations === invoices
    }))

  test("demands the sum of the order lines of each product, and stocks at most the factor's share", () =>
    holds(({ orders, products }, _rows, factor) =>
      products.every(({ demanded, initialStock, sku }) => {
        const asked = sum(
          orders.flatMap(({ lines }) => lines.flatMap((line) => (line.sku === sku ? line.quantity : [])))
        )
        return (
          asked === demanded &&
          initialStock <= demanded * Number(factor) &&
          initialStock > demanded * Number(factor) - 1
        )
      })
    ))

  test("gives all users together the total of all orders", () =>
    holds(
      ({ orders, users }) =>
        sum(users.map(({ points }) => points)) === sum(orders.map(({ totalMinor }) => totalMinor)) &&
        orders.every(({ user }) => users.some(({ name }) => name === user))
    ))

  test("gives the same orders for any order of its rows, prices aside", () =>
    holds((result, rows) => {
      const priced = rows.map((one) =>
        row({ ...one, priceMinor: 1, hasPositivePrice: true, customer: undefined })
      )
      const ordersOf = (some: ReadonlyArray<Row>) =>
        plan(some)
          .orders.map((order) => JSON.stringify(order))
          .toSorted((a, b) => a.localeCompare(b))
      return JSON.stringify(ordersOf(priced)) === JSON.stringify(ordersOf(shuffled(priced, result.invoices)))
    }))
})

describe("the order of work", () => {
  const items = Array.from({ length: 1000 }, (_, index) => index)

  test("is decided by the seed", () => {
    expect(shuffled(items, 1)).toEqual(shuffled(items, 1))
    expect(shuffled(items, 1)).not.toEqual(shuffled(items, 2))
  })

  test("keeps every item once and does not change the input", () => {
    expect(new Set(shuffled(items, 5))).toEqual(new Set(items))
    expect(items[0]).toBe(0)
    expect(shuffled([], 5)).toEqual([])
  })

  test("puts each item first about equally often", () => {
    const firsts = Array.from({ length: 2000 }, (_, seed) => shuffled([0, 1, 2, 3], seed)[0]!)
    for (const item of [0, 1, 2, 3]) {
      const share = firsts.filter((first) => first === item).length / firsts.length
      expect(share).toBeGreaterThan(0.2)
      expect(share).toBeLessThan(0.3)
    }
  })
})
