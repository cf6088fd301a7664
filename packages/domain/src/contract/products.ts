import { Schema } from "effect"
import { OutOfStock, ProductNotFound, SkuTaken, StockLimitExceeded } from "../errors/products.ts"
import { Sku } from "../ids.ts"
import { AmountMinor } from "../money.ts"
import { mutation, query, subscription } from "./procedure.ts"
import { MAXIMUM_STOCK, pageInput, pageOf, plainText, StockCount } from "./shared.ts"

/** A shelf of the catalogue, named by its shop. */
export const Category = plainText(64)

export const Product = Schema.Struct({
  sku: Sku,
  name: Schema.String,
  category: Schema.optionalKey(Schema.String),
  priceMinor: AmountMinor,
  stock: StockCount,
  createdAt: Schema.DateFromString
})
export type Product = typeof Product.Type

/** What of a product changes with every sale: laid over the product, it brings it up to date. */
export const StockLevel = Schema.Struct({ sku: Product.fields.sku, stock: Product.fields.stock })
export type StockLevel = typeof StockLevel.Type

/** What is searched for: up to 8 words. */
const MAXIMUM_WORDS = 8
const SearchText = Schema.String.check(
  Schema.isMaxLength(200, { message: "must be at most 200 characters" }),
  Schema.makeFilter(
    (text: string) => {
      const words = text.split(/\s+/u).filter((word) => word !== "").length
      return words >= 1 && words <= MAXIMUM_WORDS
    },
    { message: `must have 1 to ${MAXIMUM_WORDS} words` }
  )
)

/** Over how many days sellers are compared, today included. */
export const TOP_SELLER_DAYS = 3

/** `2026-01-31`: a day in UTC. */
const Day = Schema.String.check(Schema.isPattern(/^\d{4}-\d{2}-\d{2}$/, { message: "must be a day" }))

export const TopSellers = Schema.Struct({
  from: Day,
  to: Day,
  /** By units, the most first; equal ones by SKU. */
  products: Schema.Array(Schema.Struct({ sku: Sku, name: Schema.String, unitsSold: Schema.Int }))
})
export type TopSellers = typeof TopSellers.Type

export const products = {
  bySku: query({
    access: "public",
    summary: "One product.",
    input: Schema.Struct({ sku: Sku }),
    output: Product,
    errors: [ProductNotFound]
  }),
  page: query({
    access: "public",
    summary: "A page of the catalogue or of one category, by SKU.",
    input: Schema.Struct({ ...pageInput, category: Schema.optionalKey(Category) }),
    output: pageOf(Product),
    errors: []
  }),
  search: query({
    access: "public",
    summary:
      "A page of the products whose SKU or name has every word of the text, by SKU; case does not matter.",
    input: Schema.Struct({ ...pageInput, text: SearchText, category: Schema.optionalKey(Category) }),
    output: pageOf(Product),
    errors: []
  }),
  categories: query({
    access: "public",
    summary: "The categories that have products, by name, each with its number of products.",
    input: Schema.Struct({}),
    output: Schema.Array(Schema.Struct({ category: Schema.String, products: Schema.Int })),
    errors: []
  }),
  topSellers: query({
    access: "public",
    summary:
      "The products that were sold most on the last three days (UTC, today included). Only paid orders count; one that is cancelled does not count any more.",
    input: Schema.Struct({ limit: pageInput.limit }),
    output: TopSellers,
    errors: []
  }),
  watchStock: subscription({
    access: "public",
    summary:
      "The stock of a product now and when it has changed; of changes that came close together, the last.",
    input: Schema.Struct({ sku: Sku }),
    output: StockLevel,
    errors: [ProductNotFound]
  })
}

/** For administrators alone. */
export const productsAdmin = {
  createProduct: mutation({
    access: "admin",
    summary: "Puts a product into the catalogue with its price and its initial stock.",
    input: Schema.Struct({
      sku: Sku,
      name: plainText(200),
      category: Schema.optionalKey(Category),
      priceMinor: AmountMinor,
      initialStock: StockCount
    }),
    output: Product,
    errors: [SkuTaken]
  }),
  adjustStock: mutation({
    access: "admin",
    summary: "Adds units to a product's stock or takes some away, with a reason that the ledger keeps.",
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
