import * as Schema from "effect/Schema"
import { domainError } from "./kernel/error.ts"
import { Sku } from "./kernel/ids.ts"
import { Moment } from "./kernel/moment.ts"
import { AmountMinor } from "./kernel/money.ts"
import { pageInput, pageOf } from "./kernel/page.ts"
import { mutation, query, subscription } from "./kernel/procedure.ts"
import { plainText, searchWords } from "./kernel/text.ts"

/** The most units that an administrator may give a product. Units that orders give back may lie above it. */
export const MAXIMUM_STOCK = 1_000_000_000

const InitialStock = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: MAXIMUM_STOCK },
    { message: `must be a whole number from 0 to ${MAXIMUM_STOCK}` }
  )
)

const Category = plainText(64)

/** A product of the catalogue with its price and its stock in units. */
export const Product = Schema.Struct({
  sku: Sku,
  name: Schema.String,
  category: Schema.optionalKey(Schema.String),
  priceMinor: AmountMinor,
  stock: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  createdAt: Moment
}).annotate({
  identifier: "Product",
  description: "A product of the catalogue with its price and its stock in units."
})
export type Product = typeof Product.Type

/** The fields of a product that change with every sale; spread over the product, they bring it up to date. */
export const StockLevel = Schema.Struct({
  sku: Product.fields.sku,
  stock: Product.fields.stock
}).annotate({ identifier: "StockLevel", description: "The stock of a product, in units." })
export type StockLevel = typeof StockLevel.Type

const MAXIMUM_WORDS = 8
const MAXIMUM_SEARCH_LENGTH = 200

const SearchText = Schema.String.check(
  // To normalise takes the square of a text's length at worst.
  Schema.isMaxLength(MAXIMUM_SEARCH_LENGTH, {
    message: `must be at most ${MAXIMUM_SEARCH_LENGTH} characters`
  }).abort(),
  Schema.makeFilter((text: string) => text.isWellFormed(), { message: "must be well-formed Unicode text" }),
  Schema.makeFilter(
    (text: string) => {
      const words = searchWords(text)
      return (
        words.length >= 1 && words.length <= MAXIMUM_WORDS && words.join(" ").length <= MAXIMUM_SEARCH_LENGTH
      )
    },
    { message: `must have 1 to ${MAXIMUM_WORDS} words` }
  )
)

/** How many days the top sellers cover, including today. */
export const TOP_SELLER_DAYS = 3

/** A day in UTC: `2026-01-31`. */
const Day = Schema.String.check(Schema.isPattern(/^\d{4}-\d{2}-\d{2}$/u, { message: "must be a day" }))

/** The best-selling products of the days `from` to `to`, both inclusive. */
export const TopSellers = Schema.Struct({
  from: Day,
  to: Day,
  /** Sorted by units sold, most first, then by SKU. */
  products: Schema.Array(Schema.Struct({ sku: Sku, name: Schema.String, unitsSold: Schema.Int }))
}).annotate({
  identifier: "TopSellers",
  description:
    "The best-selling products of the days from `from` to `to`, both inclusive: most units first, then by SKU."
})
export type TopSellers = typeof TopSellers.Type

/** No product has this SKU. */
export class ProductNotFound extends domainError<ProductNotFound>()(
  "ProductNotFound",
  { sku: Schema.String },
  { code: "NOT_FOUND", message: ({ sku }) => `there is no product ${sku}` }
) {}

/** A product with this SKU already exists. */
export class SkuTaken extends domainError<SkuTaken>()(
  "SkuTaken",
  { sku: Schema.String },
  { code: "CONFLICT", message: ({ sku }) => `the SKU ${sku} is taken` }
) {}

/** The product has fewer units in stock than requested. Nothing was taken. */
export class OutOfStock extends domainError<OutOfStock>()(
  "OutOfStock",
  { sku: Schema.String, requested: Schema.Int, available: Schema.Int },
  {
    code: "CONFLICT",
    message: ({ available, requested, sku }) => `${sku}: ${requested} asked for, ${available} left`
  }
) {}

/** The adjustment would raise the stock above {@link MAXIMUM_STOCK}. */
export class StockLimitExceeded extends domainError<StockLimitExceeded>()(
  "StockLimitExceeded",
  { sku: Schema.String, maximum: Schema.Int },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ maximum, sku }) => `${sku}: a product holds at most ${maximum} units`
  }
) {}

/** The procedures of the group `products`. */
export const products = {
  bySku: query({
    access: "public",
    summary: "Returns one product.",
    input: Schema.Struct({ sku: Sku }),
    output: Product,
    errors: [ProductNotFound]
  }),
  page: query({
    access: "public",
    summary: "Returns a page of the catalogue or of one category, sorted by SKU.",
    input: Schema.Struct({ ...pageInput, category: Schema.optionalKey(Category) }),
    output: pageOf(Product),
    errors: []
  }),
  search: query({
    access: "public",
    summary:
      "Returns a page of the products whose SKU or name contains every word of the text, ignoring case, sorted by SKU.",
    input: Schema.Struct({ ...pageInput, text: SearchText, category: Schema.optionalKey(Category) }),
    output: pageOf(Product),
    errors: []
  }),
  categories: query({
    access: "public",
    summary: "Returns the categories that have products, sorted by name, each with its number of products.",
    input: Schema.Struct({}),
    output: Schema.Array(Schema.Struct({ category: Schema.String, products: Schema.Int })),
    errors: []
  }),
  topSellers: query({
    access: "public",
    summary:
      "Returns the best-selling products of the last three days (UTC, including today). Only paid orders count; an order stops counting when it is cancelled.",
    input: Schema.Struct({ limit: pageInput.limit }),
    output: TopSellers,
    errors: []
  }),
  watchStock: subscription({
    access: "public",
    summary:
      "Emits the stock of a product now and after every change. Changes in quick succession are merged.",
    input: Schema.Struct({ sku: Sku }),
    output: StockLevel,
    errors: [ProductNotFound]
  })
}

/** The procedures on products in the group `admin`. */
export const productsAdmin = {
  createProduct: mutation({
    access: "admin",
    summary: "Adds a product to the catalogue with its price and initial stock.",
    input: Schema.Struct({
      sku: Sku,
      name: plainText(200),
      category: Schema.optionalKey(Category),
      priceMinor: AmountMinor,
      initialStock: InitialStock
    }),
    output: Product,
    errors: [SkuTaken]
  }),
  adjustStock: mutation({
    access: "admin",
    summary: "Adds units to a product's stock or removes some, with a reason that the ledger records.",
    input: Schema.Struct({
      sku: Sku,
      delta: Schema.Int.check(
        Schema.isBetween({ minimum: -MAXIMUM_STOCK, maximum: MAXIMUM_STOCK }),
        Schema.makeFilter((delta: number) => delta !== 0, { message: "must not be 0" })
      ),
      reason: plainText(200)
    }),
    output: Product,
    errors: [ProductNotFound, OutOfStock, StockLimitExceeded]
  })
}
