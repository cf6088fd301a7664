import { Schema } from "effect"

/** No product has this SKU. */
export class ProductNotFound extends Schema.TaggedError<ProductNotFound>()("ProductNotFound", {
  sku: Schema.String
}) {
  static readonly code = "NOT_FOUND"
  readonly retryable = false
  override get message() {
    return `there is no product ${this.sku}`
  }
}

/** A product with this SKU exists already. */
export class SkuTaken extends Schema.TaggedError<SkuTaken>()("SkuTaken", { sku: Schema.String }) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `the SKU ${this.sku} is taken`
  }
}

/** Fewer units are left than were asked for; nothing was taken. */
export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  sku: Schema.String,
  requested: Schema.Int,
  available: Schema.Int
}) {
  static readonly code = "CONFLICT"
  readonly retryable = false
  override get message() {
    return `${this.sku}: ${this.requested} asked for, ${this.available} left`
  }
}

/** The adjustment would lift the stock past what a count of units may be. */
export class StockLimitExceeded extends Schema.TaggedError<StockLimitExceeded>()("StockLimitExceeded", {
  sku: Schema.String,
  maximum: Schema.Int
}) {
  static readonly code = "UNPROCESSABLE_CONTENT"
  readonly retryable = false
  override get message() {
    return `${this.sku}: a product holds at most ${this.maximum} units`
  }
}
