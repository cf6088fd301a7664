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
  /** Identifies the product. */
  sku: Sku,
  /** The product's name. */
  name: Schema.String,
  /** The category that it is listed in. */
  category: Schema.optionalKey(Schema.String),
  /** The price of one unit, in minor units. */
  priceMinor: AmountMinor,
  /** The units in stock. */
  stock: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  /** When it was added to the catalogue. */
  createdAt: Moment
}).annotate({
  identifier: "Product"
})
export type Product = typeof Product.Type

/** The fields of a product that change with every sale; spread over the product, they bring it up to date. */
export const StockLevel = Schema.Struct({
  /** Identifies the product. */
  sku: Product.fields.sku,
  /** The units in stock now. */
  stock: Product.fields.stock
}).annotate({ identifier: "StockLevel" })
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

/** The best-selling products of the days from `from` to `to`, both inclusive: most units first, then by SKU. */
export const TopSellers = Schema.Struct({
  /** The first day, in UTC. */
  from: Day,
  /** The last day, in UTC. */
  to: Day,
  /** The products, best-selling first. */
  products: Schema.Array(
    Schema.Struct({
      /** Identifies the product. */
      sku: Sku,
      /** The product's name. */
      name: Schema.String,
      /** The units sold in these days. */
      unitsSold: Schema.Int
    })
  )
}).annotate({
  identifier: "TopSellers"
})
export type TopSellers = typeof TopSellers.Type

/** No product has this SKU. */
export class ProductNotFound extends domainError<ProductNotFound>()(
  "ProductNotFound",
  {
    /** The SKU that was asked for. */
    sku: Schema.String
  },
  { code: "NOT_FOUND", message: ({ sku }) => `there is no product ${sku}` }
) {}

/** A product with this SKU already exists. */
export class SkuTaken extends domainError<SkuTaken>()(
  "SkuTaken",
  {
    /** The SKU of the existing product. */
    sku: Schema.String
  },
  { code: "CONFLICT", message: ({ sku }) => `the SKU ${sku} is taken` }
) {}

/** The product has fewer units in stock than requested. Nothing was taken. */
export class OutOfStock extends domainError<OutOfStock>()(
  "OutOfStock",
  {
    /** The product that is short. */
    sku: Schema.String,
    /** The units that the order asks for. */
    requested: Schema.Int,
    /** The units that are left. */
    available: Schema.Int
  },
  {
    code: "CONFLICT",
    message: ({ available, requested, sku }) => `${sku}: ${requested} asked for, ${available} left`
  }
) {}

/** The adjustment would raise the stock above {@link MAXIMUM_STOCK}. */
export class StockLimitExceeded extends domainError<StockLimitExceeded>()(
  "StockLimitExceeded",
  {
    /** The product. */
    sku: Schema.String,
    /** The most units that a product may have. */
    maximum: Schema.Int
  },
  {
    code: "UNPROCESSABLE_CONTENT",
    message: ({ maximum, sku }) => `${sku}: a product holds at most ${maximum} units`
  }
) {}

/** The procedures of the group `products`. */
export const products = {
  /** Returns one product. */
  bySku: query({
    access: "public",
    input: Schema.Struct({
      /** The product's SKU. */
      sku: Sku
    }),
    output: Product,
    errors: [ProductNotFound]
  }),
  /** Returns a page of the catalogue or of one category, sorted by SKU. */
  page: query({
    access: "public",
    input: Schema.Struct({
      /** The `nextCursor` of the page before; absent for the first page. */
      cursor: pageInput.cursor,
      /** How many items a page has: 20 unless it is given, 100 at most. */
      limit: pageInput.limit,
      /** Only products of this category. */
      category: Schema.optionalKey(Category)
    }),
    output: pageOf(Product),
    errors: []
  }),
  /** Returns a page of the products whose SKU or name contains every word of the text, ignoring case, sorted by SKU. */
  search: query({
    access: "public",
    input: Schema.Struct({
      /** The `nextCursor` of the page before; absent for the first page. */
      cursor: pageInput.cursor,
      /** How many items a page has: 20 unless it is given, 100 at most. */
      limit: pageInput.limit,
      /** 1 to 8 words, which all have to be found. */
      text: SearchText,
      /** Only products of this category. */
      category: Schema.optionalKey(Category)
    }),
    output: pageOf(Product),
    errors: []
  }),
  /** Returns the categories that have products, sorted by name, each with its number of products. */
  categories: query({
    access: "public",
    input: Schema.Struct({}),
    output: Schema.Array(
      Schema.Struct({
        /** The category's name. */
        category: Schema.String,
        /** How many products it has. */
        products: Schema.Int
      })
    ),
    errors: []
  }),
  /**
   * Returns the best-selling products of the last three days (UTC, including today). Only paid orders count; an order
   * stops counting when it is cancelled.
   */
  topSellers: query({
    access: "public",
    input: Schema.Struct({
      /** Which bound is reached. */
      limit: pageInput.limit
    }),
    output: TopSellers,
    errors: []
  }),
  /** Emits the stock of a product now and after every change. Changes in quick succession are merged. */
  watchStock: subscription({
    access: "public",
    input: Schema.Struct({
      /** The product's SKU. */
      sku: Sku
    }),
    output: StockLevel,
    errors: [ProductNotFound]
  })
}

/** The procedures on products in the group `admin`. */
export const productsAdmin = {
  /** Adds a product to the catalogue with its price and initial stock. */
  createProduct: mutation({
    access: "admin",
    input: Schema.Struct({
      /** A new SKU. */
      sku: Sku,
      /** The name, for people. */
      name: plainText(200),
      /** The category to list it in. */
      category: Schema.optionalKey(Category),
      /** The price of one unit, in minor units. */
      priceMinor: AmountMinor,
      /** The units in stock at first. */
      initialStock: InitialStock
    }),
    output: Product,
    errors: [SkuTaken]
  }),
  /** Adds units to a product's stock or removes some, with a reason that the ledger records. */
  adjustStock: mutation({
    access: "admin",
    input: Schema.Struct({
      /** The product's SKU. */
      sku: Sku,
      /** How many units to add; negative to remove some. */
      delta: Schema.Int.check(
        Schema.isBetween({ minimum: -MAXIMUM_STOCK, maximum: MAXIMUM_STOCK }),
        Schema.makeFilter((delta: number) => delta !== 0, { message: "must not be 0" })
      ),
      /** Why, for the ledger. */
      reason: plainText(200)
    }),
    output: Product,
    errors: [ProductNotFound, OutOfStock, StockLimitExceeded]
  })
}
