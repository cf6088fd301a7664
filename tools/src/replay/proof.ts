import type { CheckReport } from "@holdfast/server"
import type { Progress } from "../progress.ts"
import { forEachOf } from "../workers.ts"
import { required } from "./answer.ts"
import type { Plan, PlannedOrder } from "./plan.ts"
import type { Clients, OrderOutcome } from "./calls.ts"
import type { Work } from "./run.ts"

/** The state of the shop at the end, read through the client. */
export interface Books {
  /** Units left, by SKU. */
  readonly stock: ReadonlyMap<string, number>
  /** By the name of the user. */
  readonly accounts: ReadonlyMap<string, Account>
}

export interface Account {
  readonly balance: number
  readonly orders: ReadonlyArray<BookedOrder>
}

/** An order in the shop. */
interface BookedOrder {
  readonly id: string
  readonly status: string
  readonly totalMinor: number
  readonly items: ReadonlyArray<{ readonly sku: string; readonly quantity: number }>
}

export interface ReadOptions {
  readonly workers: number
  readonly signal: AbortSignal
  readonly progress: Progress
}

const PAGE = { limit: 100 } as const

/** Reads all products, and the orders and balance of each user. */
export const readBooks = async (plan: Plan, clients: Clients, options: ReadOptions): Promise<Books> => {
  const { progress, signal, workers } = options
  const stock = new Map<string, number>()
  const accounts = new Map<string, Account>()
  progress.phase("reading back", plan.users.length)
  for await (const product of clients.admin.products.items(PAGE, { signal }))
    stock.set(product.sku, product.stock)
  const readAccount = async ({ name }: { readonly name: string }) => {
    const client = clients.of(name)
    const { balance } = await required(
      `the balance of ${name}`,
      () => client.safe.points.balance({}, { signal }),
      signal
    )
    const orders: Array<BookedOrder> = []
    for await (const order of client.orders.items(PAGE, { signal })) orders.push(order)
    accounts.set(name, { balance, orders })
    progress.step()
  }
  await forEachOf(plan.users, workers, readAccount, signal)
  return { stock, accounts }
}

/**
 * The checks that need the file: the books must be exactly those of its invoices, and no order may have been refused
 * while there was enough stock.
 */
export const proveReplay = (plan: Plan, orders: Work["orders"], books: Books): ReadonlyArray<CheckReport> => {
  const outcomes = plan.orders.map((order) => ({ order, outcome: orders.get(order) }))
  const placed = outcomes.flatMap(({ order, outcome }) =>
    outcome === undefined || outcome.kind === "refused" ? [] : [{ order, outcome }]
  )
  const refused = outcomes.flatMap(({ order, outcome }) =>
    outcome?.kind === "refused" ? [{ order, outcome }] : []
  )
  return [
    check(
      "replay: answers",
      "every order got one definitive answer, and every placed one was paid",
      outcomes,
      ({ order, outcome }) =>
        outcome === undefined || outcome.kind === "unpaid"
          ? { invoice: order.invoice, answer: outcome === undefined ? "none" : `not paid: ${outcome.reason}` }
          : undefined
    ),
    checkStock(
      plan,
      placed.map(({ order }) => order),
      books
    ),
    checkRefusals(refused, books),
    checkOrders(plan, placed, books),
    checkBalances(
      plan,
      placed.map(({ order }) => order),
      books
    )
  ]
}

type Problem = Readonly<Record<string, unknown>>

const SHOWN_PROBLEMS = 20

/** A check in the form of the audit's. `problemOf` returns what is wrong with one item, if anything. */
const check = <A>(
  name: string,
  promise: string,
  things: ReadonlyArray<A>,
  problemOf: (thing: A) => Problem | undefined
): CheckReport => {
  const problems = things.map(problemOf).filter((problem) => problem !== undefined)
  return {
    name,
    promise,
    ok: problems.length === 0,
    checked: things.length,
    problemCount: problems.length,
    problems: problems.slice(0, SHOWN_PROBLEMS)
  }
}

const checkStock = (plan: Plan, placed: ReadonlyArray<PlannedOrder>, { stock }: Books): CheckReport => {
  const sold = sumBy(
    placed.flatMap(({ lines }) => lines),
    ({ sku }) => sku,
    ({ quantity }) => quantity
  )
  const returned = sumBy(
    plan.returns,
    ({ sku }) => sku,
    ({ quantity }) => quantity
  )
  return check(
    "replay: stock",
    "initial + returned - sold = stock, for every product of the file, and never below 0",
    plan.products,
    ({ initialStock, sku }) => {
      const expected = initialStock + (returned.get(sku) ?? 0) - (sold.get(sku) ?? 0)
      const actual = stock.get(sku)
      return actual === expected && actual >= 0
        ? undefined
        : { sku, expected, actual: actual ?? "no such product" }
    }
  )
}

const checkRefusals = (
  refused: ReadonlyArray<{
    readonly order: PlannedOrder
    readonly outcome: OrderOutcome & { readonly kind: "refused" }
  }>,
  { stock }: Books
): CheckReport =>
  check(
    "replay: refusals",
    "no order was refused while there was enough: each refused order has a line of more units than are left",
    refused,
    ({ order, outcome }) => {
      const isShort = order.lines.some(({ quantity, sku }) => (stock.get(sku) ?? 0) < quantity)
      return isShort && outcome.reason === "OutOfStock"
        ? undefined
        : { invoice: order.invoice, reason: outcome.reason }
    }
  )

interface Placed {
  readonly order: PlannedOrder
  readonly outcome: OrderOutcome & { readonly orderId: string }
}

/** Compares the orders of each user with those that the replay placed, so it also finds an order placed twice. */
const checkOrders = (plan: Plan, placed: ReadonlyArray<Placed>, { accounts }: Books): CheckReport => {
  const expectedOf = Map.groupBy(placed, ({ order }) => order.user)
  return check(
    "replay: orders",
    "every user has exactly the orders of the file that were placed, each paid, with its lines and its total",
    plan.users,
    ({ name }) => {
      const expected = (expectedOf.get(name) ?? []).map(({ order, outcome }) =>
        bookedText({ id: outcome.orderId, status: "PAID", totalMinor: order.totalMinor, items: order.lines })
      )
      const actual = (accounts.get(name)?.orders ?? []).map(bookedText)
      const missing = expected.filter((order) => !actual.includes(order))
      const extra = actual.filter((order) => !expected.includes(order))
      return missing.length + extra.length === 0 && actual.length === expected.length
        ? undefined
        : { user: name, missing, extra }
    }
  )
}

const bookedText = ({ id, items, status, totalMinor }: BookedOrder): string => {
  const lines = items
    .map(({ quantity, sku }) => `${sku} x ${quantity}`)
    .toSorted((a, b) => a.localeCompare(b))
  return `${id} ${status} ${totalMinor}: ${lines.join(", ")}`
}

const checkBalances = (plan: Plan, placed: ReadonlyArray<PlannedOrder>, { accounts }: Books): CheckReport => {
  const spent = sumBy(
    placed,
    ({ user }) => user,
    ({ totalMinor }) => totalMinor
  )
  return check(
    "replay: balances",
    "every user has the granted points minus the total of the placed orders",
    plan.users,
    ({ name, points }) => {
      const expected = points - (spent.get(name) ?? 0)
      const actual = accounts.get(name)?.balance
      return actual === expected ? undefined : { user: name, expected, actual: actual ?? "no such account" }
    }
  )
}

const sumBy = <A>(
  items: ReadonlyArray<A>,
  key: (item: A) => string,
  amount: (item: A) => number
): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>()
  for (const item of items) sums.set(key(item), (sums.get(key(item)) ?? 0) + amount(item))
  return sums
}
