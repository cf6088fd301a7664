import { ORDER_BOUNDS, Sku } from "@holdfast/domain"
import { BigDecimal, Schema } from "effect"
import { minorOf, parseDecimal, wholeOf } from "./decimal.ts"

/** The columns of the Online Retail format. A file may have more, and in another order. */
export const COLUMNS = [
  "InvoiceNo",
  "StockCode",
  "Description",
  "Quantity",
  "InvoiceDate",
  "UnitPrice",
  "CustomerID",
  "Country"
] as const
export type Column = (typeof COLUMNS)[number]

/** One well-formed line of an invoice. */
export interface Row {
  readonly invoice: string
  readonly sku: Sku
  /** May be empty. */
  readonly description: string
  readonly quantity: number
  /** The price that this row states, in pence, half a pence rounded up. */
  readonly priceMinor: number
  /** Whether the price is above 0 before it is rounded. */
  readonly hasPositivePrice: boolean
  /** For example `17850`; absent on sales to people without an account. */
  readonly customer: string | undefined
}

/** Why a row is malformed: the column at fault. */
export type MalformedReason =
  | "malformed columns"
  | "malformed quoting"
  | "malformed invoice"
  | "malformed stock code"
  | "malformed quantity"
  | "malformed date"
  | "malformed price"
  | "malformed customer"

const isSku = Schema.is(Sku)

/** Reads one record; blanks around a field are ignored. */
export const parseRow = (fields: Readonly<Record<Column, string>>): Row | MalformedReason => {
  const invoice = fields.InvoiceNo.trim()
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(invoice)) return "malformed invoice"
  const sku = fields.StockCode.trim()
  if (!isSku(sku)) return "malformed stock code"
  const quantity = quantityOf(fields.Quantity.trim())
  if (quantity === undefined) return "malformed quantity"
  if (!isDate(fields.InvoiceDate.trim())) return "malformed date"
  const price = parseDecimal(fields.UnitPrice.trim())
  const priceMinor = price === undefined ? undefined : safeNumber(minorOf(price))
  if (price === undefined || priceMinor === undefined) return "malformed price"
  const customer = customerOf(fields.CustomerID.trim())
  if (customer === null) return "malformed customer"
  const description = fields.Description.trim()
  return {
    invoice,
    sku,
    description,
    quantity,
    priceMinor,
    hasPositivePrice: BigDecimal.isPositive(price),
    customer
  }
}

/** A whole number that an order line or a stock adjustment can have. */
const quantityOf = (text: string): number | undefined => {
  const decimal = parseDecimal(text)
  const whole = decimal === undefined ? undefined : wholeOf(decimal)
  const quantity = whole === undefined ? undefined : safeNumber(whole)
  return quantity !== undefined && Math.abs(quantity) <= ORDER_BOUNDS.quantity ? quantity : undefined
}

const ISO_DATE =
  /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})[ T](?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2}))?$/
/** How spreadsheets export the same data set. */
const US_DATE = /^(?<month>\d{1,2})\/(?<day>\d{1,2})\/(?<year>\d{4}) (?<hour>\d{1,2}):(?<minute>\d{2})$/

const DATE_PARTS = ["year", "month", "day", "hour", "minute", "second"] as const

/** Accepts `2010-12-01 08:26:00` and `12/1/2010 8:26`, and no 31st of February. */
const isDate = (text: string): boolean => {
  const groups = (ISO_DATE.exec(text) ?? US_DATE.exec(text))?.groups
  if (groups === undefined) return false
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = DATE_PARTS.map((part) =>
    Number(groups[part] ?? 0)
  )
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  return (
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  )
}

/**
 * Reads a customer's number, which the data set writes as a float.
 * @returns `undefined` for an empty field, `null` for text that is no such number
 */
const customerOf = (text: string): string | undefined | null => {
  if (text === "") return undefined
  const decimal = parseDecimal(text)
  const whole = decimal === undefined ? undefined : wholeOf(decimal)
  return whole === undefined || whole < 0n ? null : whole.toString()
}

const safeNumber = (value: bigint): number | undefined => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}
