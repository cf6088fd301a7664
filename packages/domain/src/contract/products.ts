import { Schema } from "effect"
import { OutOfStock, ProductNotFound, SkuTaken, StockLimitExceeded } from "../errors/products.ts"
import { Sku } from "../ids.ts"
import { AmountMinor } from "../money.ts"
import { mutation, query } from "./procedure.ts"
import { MAXIMUM_STOCK, pageInput, pageOf, plainText, StockCount } from "./shared.ts"

export const Product = Schema.Struct({
  sku: Sku,
  name: Schema.String,
  priceMinor: AmountMinor,
  stock: StockCount,
  createdAt: Schema.DateFromString
})
export type Product = typeof Product.Type

export const products = {
  create: mutation({
    access: "admin",
    summary: "Puts a product into the catalogue with its price and its initial stock.",
    input: Schema.Struct({
      sku: Sku,
      name: plainText(200),
      priceMinor: AmountMinor,
      initialStock: StockCount
    }),
    output: Product,
    errors: [SkuTaken]
  }),
  bySku: query({
    access: "public",
    summary: "One product.",
    input: Schema.Struct({ sku: Sku }),
    output: Product,
    errors: [ProductNotFound]
  }),
  page: query({
    access: "public",
    summary: "A page of the catalogue, by SKU.",
    input: Schema.Struct(pageInput),
    output: pageOf(Product),
    errors: []
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
