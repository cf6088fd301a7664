import {
  type AmountMinor,
  AmountMinor as Amount,
  MAXIMUM_STOCK,
  mergeLines,
  type OrderLine,
  type Sku,
  totalPriceOf
} from "@holdfast/domain"
import { type BigDecimal, Result } from "effect"
import { isBelow, shareOf } from "./decimal.ts"
import type { MalformedReason, Row } from "./row.ts"

export interface PlannedProduct {
  readonly sku: Sku
  readonly name: string
  readonly priceMinor: AmountMinor
  /** Units that all orders ask for together. */
  readonly demanded: number
  readonly initialStock: number
}

export interface PlannedUser {
  /** `customer-17850`, or `guest-536365` for an invoice without a customer. */
  readonly name: string
  /** The total of all orders of the user. */
  readonly points: AmountMinor
}

export interface PlannedOrder {
  readonly invoice: string
  readonly user: string
  /** One line a product, sorted by SKU. */
  readonly lines: ReadonlyArray<OrderLine>
  readonly units: number
  readonly totalMinor: AmountMinor
}

export interface PlannedReturn {
  readonly invoice: string
  /** The position among the returned rows of the invoice, from 1. */
  readonly position: number
  readonly sku: Sku
  readonly quantity: number
}

type SkipReason =
  | MalformedReason
  | "quantity not positive"
  | "product of price 0"
  | "cancellation without negative quantity"
  | "return with stock below demand"

/** What a file makes the shop do. It does not depend on the order of the work. */
export interface Plan {
  readonly products: ReadonlyArray<PlannedProduct>
  readonly users: ReadonlyArray<PlannedUser>
  readonly orders: ReadonlyArray<PlannedOrder>
  readonly returns: ReadonlyArray<PlannedReturn>
  /** Invoices of the file, cancellations among them. */
  readonly invoices: number
  /** Invoices without a line that could be ordered. */
  readonly invoicesWithoutLines: number
  /** Rows in orders. Each row counts once: here, in `skippedLines` or in `returns`. */
  readonly orderedLines: number
  readonly skippedLines: ReadonlyMap<SkipReason, number>
}

/** The file asks for more than a shop can hold. */
export class PlanError extends Error {
  override readonly name = "PlanError"
}

/** The part of an invoice file that a plan is made from. */
export interface InvoiceRows {
  readonly rows: ReadonlyArray<Row>
  readonly malformed: ReadonlyMap<MalformedReason, number>
}

/**
 * Plans the replay of a file.
 * @param stockFactor the initial stock as a share of the demanded units; below 1 the plan has no returns, because they
 * would make up for the missing stock
 */
export const makePlan = ({ malformed, rows }: InvoiceRows, stockFactor: BigDecimal.BigDecimal): Plan => {
  const prices = pricesOf(rows)
  const skippedLines = new Map<SkipReason, number>(malformed)
  const skip = (reason: SkipReason) => void skippedLines.set(reason, (skippedLines.get(reason) ?? 0) + 1)
  const withReturns = !isBelow(stockFactor, 1)

  const orders: Array<PlannedOrder> = []
  const returns: Array<PlannedReturn> = []
  let invoicesWithoutLines = 0
  let orderedLines = 0
  const invoices = Map.groupBy(rows, ({ invoice }) => invoice)
  for (const [invoice, all] of invoices) {
    if (invoice.startsWith("C")) {
      const returned = all.filter(keepOr(skip, (row) => whyNotReturned(row, withReturns)))
      returns.push(...returned.map((row, index) => plannedReturn(row, index + 1)))
      continue
    }
    const ordered = all.filter(keepOr(skip, (row) => whyNotOrdered(row, prices)))
    if (ordered.length === 0) invoicesWithoutLines++
    else orders.push(plannedOrder(invoice, all, ordered, prices))
    orderedLines += ordered.length
  }
  const demanded = demandOf(orders)
  return {
    products: productsOf(rows, prices, demanded, stockFactor),
    users: usersOf(rows, orders),
    orders,
    returns,
    invoices: invoices.size,
    invoicesWithoutLines,
    orderedLines,
    skippedLines
  }
}

/** The price of each product: its first positive one in the file, in pence. */
const pricesOf = (rows: ReadonlyArray<Row>): ReadonlyMap<Sku, AmountMinor> => {
  const prices = new Map<Sku, AmountMinor>()
  for (const row of rows)
    if (row.hasPositivePrice && !prices.has(row.sku)) prices.set(row.sku, Amount.make(row.priceMinor))
  return prices
}

const priceOf = (prices: ReadonlyMap<Sku, AmountMinor>, sku: Sku): AmountMinor =>
  prices.get(sku) ?? Amount.make(0)

/** A filter that counts the rows that it drops, by reason. */
const keepOr =
  (skip: (reason: SkipReason) => void, whyNot: (row: Row) => SkipReason | undefined) =>
  (row: Row): boolean => {
    const reason = whyNot(row)
    if (reason !== undefined) skip(reason)
    return reason === undefined
  }

const whyNotOrdered = (row: Row, prices: ReadonlyMap<Sku, AmountMinor>): SkipReason | undefined => {
  if (row.quantity <= 0) return "quantity not positive"
  return priceOf(prices, row.sku) === 0 ? "product of price 0" : undefined
}

const whyNotReturned = (row: Row, withReturns: boolean): SkipReason | undefined => {
  if (row.quantity >= 0) return "cancellation without negative quantity"
  return withReturns ? undefined : "return with stock below demand"
}

const plannedReturn = ({ invoice, quantity, sku }: Row, position: number): PlannedReturn => ({
  invoice,
  position,
  sku,
  quantity: -quantity
})

const plannedOrder = (
  invoice: string,
  all: ReadonlyArray<Row>,
  ordered: ReadonlyArray<Row>,
  prices: ReadonlyMap<Sku, AmountMinor>
): PlannedOrder => {
  const lines = mergeLines(ordered)
  return {
    invoice,
    user: buyerOf(all),
    lines,
    units: lines.reduce((sum, { quantity }) => sum + quantity, 0),
    totalMinor: exactTotalOf(
      lines.map(({ quantity, sku }) => ({ unitPriceMinor: priceOf(prices, sku), quantity }))
    )
  }
}

/** The first customer that the rows of an invoice name. */
const buyerOf = (rows: ReadonlyArray<Row>): string =>
  userNameOf(rows.find(({ customer }) => customer !== undefined) ?? rows[0]!)

const userNameOf = ({ customer, invoice }: Row): string =>
  customer === undefined ? `guest-${invoice}` : `customer-${customer}`

const demandOf = (orders: ReadonlyArray<PlannedOrder>): ReadonlyMap<Sku, number> => {
  const demanded = new Map<Sku, number>()
  for (const { quantity, sku } of orders.flatMap(({ lines }) => lines))
    demanded.set(sku, (demanded.get(sku) ?? 0) + quantity)
  return demanded
}

/** Every stock code of the file, because a return may name a product that no order names. */
const productsOf = (
  rows: ReadonlyArray<Row>,
  prices: ReadonlyMap<Sku, AmountMinor>,
  demanded: ReadonlyMap<Sku, number>,
  stockFactor: BigDecimal.BigDecimal
): ReadonlyArray<PlannedProduct> => {
  const names = new Map<Sku, string>()
  for (const { description, sku } of rows) {
    const name = names.get(sku)
    if (name === undefined || name === "") names.set(sku, productNameOf(description))
  }
  return [...names].map(([sku, name]) => {
    const units = demanded.get(sku) ?? 0
    const initialStock = shareOf(stockFactor, units)
    if (initialStock > MAXIMUM_STOCK)
      throw new PlanError(
        `${sku} needs ${initialStock} units in stock; a product holds at most ${MAXIMUM_STOCK}`
      )
    return {
      sku,
      name: name === "" ? sku : name,
      priceMinor: priceOf(prices, sku),
      demanded: units,
      initialStock
    }
  })
}

const MAXIMUM_NAME_LENGTH = 200

/** Makes a description a valid product name: no control characters, no outer blanks, bounded length. */
const productNameOf = (description: string): string =>
  description
    .replaceAll(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, MAXIMUM_NAME_LENGTH)
    .trimEnd()
    .toWellFormed()

/** Every customer of the file, and a guest for every invoice with rows without a customer. */
const usersOf = (
  rows: ReadonlyArray<Row>,
  orders: ReadonlyArray<PlannedOrder>
): ReadonlyArray<PlannedUser> => {
  const ordersByUser = Map.groupBy(orders, ({ user }) => user)
  return [...new Set(rows.map(userNameOf))].map((name) => ({
    name,
    points: exactTotalOf(
      (ordersByUser.get(name) ?? []).map(({ totalMinor }) => ({ unitPriceMinor: totalMinor, quantity: 1 }))
    )
  }))
}

/** Reports a sum beyond the safe integers as an error of the file. */
const exactTotalOf = (items: Parameters<typeof totalPriceOf>[0]): AmountMinor => {
  const total = totalPriceOf(items)
  if (Result.isSuccess(total)) return total.success
  throw new PlanError(
    `the file's prices and quantities are too large: a sum is beyond ${Number.MAX_SAFE_INTEGER} minor units`
  )
}
