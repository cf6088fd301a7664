import {
  AmountMinor,
  contract,
  type DecodedInputOf,
  MAXIMUM_STOCK,
  type OrderId,
  type OrderLine,
  OutOfStock,
  PAGE_SIZE,
  Product,
  ProductNotFound,
  Sku,
  SkuTaken,
  StockLimitExceeded
} from "@holdfast/domain"
import { Clock, Effect, Schema, Stream } from "effect"
import { Cache, invalidate } from "../../platform/cache/cache.ts"
import { makeCursor, toPage } from "../../platform/db/pagination.ts"
import { withIdempotency } from "../../platform/idempotency/idempotency.ts"
import { insertOutbox } from "../../platform/outbox/outbox.ts"
import { asEvents } from "../../platform/trpc/events.ts"
import type { Call } from "../../platform/trpc/adapter.ts"
import {
  countCategories,
  findProducts,
  insertProduct,
  insertStockMovements,
  listNames,
  listProducts,
  lockProduct,
  lockProducts,
  moveStock,
  type ProductFilter,
  productOf,
  putStock,
  takeStock
} from "./repository.ts"
import { LiveStock } from "./stock-live.ts"

export const createProduct = Effect.fn("createProduct")(function* (
  call: Call<typeof contract.admin.createProduct>
) {
  const { caller, input, request } = call
  const { initialStock, sku, ...described } = input
  const createdAt = new Date(yield* Clock.currentTimeMillis)
  const product: Product = { sku, ...described, stock: initialStock, createdAt }
  const body = Effect.gen(function* () {
    yield* insertProduct(product).pipe(
      Effect.catchTag("UniqueViolation", () => Effect.fail(new SkuTaken({ sku })))
    )
    yield* insertStockMovements([{ sku, delta: initialStock, kind: "initial" }])
    yield* insertOutbox("product.created", { skus: [sku] })
    return product
  })
  return yield* withIdempotency(
    { procedure: contract.admin.createProduct, userId: caller.userId, request, input },
    body
  ).pipe(Effect.tap(() => invalidate([CATALOGUE_TAG, productTag(sku)])))
})

export const productBySku = Effect.fn("productBySku")(function* ({
  input
}: Call<typeof contract.products.bySku>) {
  const [product] = yield* cachedProducts([input.sku])
  return product ?? (yield* new ProductNotFound({ sku: input.sku }))
})

const cursor = makeCursor(Schema.Struct({ sku: Sku }))

export const productPage = Effect.fn("productPage")(function* ({
  input
}: Call<typeof contract.products.page>) {
  const page = yield* cachedPage(input)
  return { ...page, items: yield* cachedProducts(page.items) }
})

/**
 * A page is kept as the list of its SKUs, and the products on it one by one: a sale changes the stock of what was sold,
 * and nothing else that is kept counts for less.
 */
const cachedPage = Effect.fnUntraced(function* (input: DecodedInputOf<typeof contract.products.page>) {
  const cache = yield* Cache
  const name = `page:${JSON.stringify([input.category, input.cursor, input.limit])}`
  const load = () =>
    pageBySku({ category: input.category }, input).pipe(
      Effect.map((page) => new Map([[name, { ...page, items: page.items.map(({ sku }) => sku) }]]))
    )
  const kept = yield* cache.getMany([{ name, tag: CATALOGUE_TAG }], load)
  return kept.get(name) as { readonly items: ReadonlyArray<Sku>; readonly nextCursor?: string }
})

/** Products by SKU, in the order of the question; those that do not exist are left out. */
const cachedProducts = Effect.fnUntraced(function* (skus: ReadonlyArray<Sku>) {
  const cache = yield* Cache
  const skuOf = new Map(skus.map((sku) => [productTag(sku), sku] as const))
  const load = (names: ReadonlyArray<string>) =>
    findProducts(names.map((name) => skuOf.get(name)!)).pipe(
      Effect.map((rows) => new Map(rows.map((row) => [productTag(row.sku), encodeProduct(productOf(row))])))
    )
  const kept = yield* cache.getMany(
    [...skuOf.keys()].map((name) => ({ name, tag: name })),
    load
  )
  return skus.flatMap((sku) => {
    const product = kept.get(productTag(sku))
    return product === undefined ? [] : [decodeProduct(product)]
  })
})

const encodeProduct = Schema.encodeSync(Product)
const decodeProduct = Schema.decodeUnknownSync(Product)

/** The tag of all that depends on which products there are. */
export const CATALOGUE_TAG = "catalogue"

/** The tag of all that depends on one product: its stock, for instance. */
export const productTag = (sku: string): string => `product:${sku}`

/** After a change of these products was committed: whoever reads them reads the change, who watches them is told. */
export const productsChanged = (lines: ReadonlyArray<{ readonly sku: Sku }>) =>
  Effect.andThen(
    LiveStock.use((board) => board.announce(lines.map(({ sku }) => sku))),
    invalidate(lines.map(({ sku }) => productTag(sku)))
  )

/** The stock as it is, and whenever it has changed. */
export const watchStock = ({ input, request }: Call<typeof contract.products.watchStock>) =>
  Stream.unwrap(Effect.map(LiveStock, (board) => board.watch(input.sku))).pipe(
    Stream.mapEffect((row) =>
      row === undefined ? new ProductNotFound({ sku: input.sku }) : Effect.succeed(row)
    ),
    asEvents(({ movement }) => String(movement), request.lastEventId),
    Stream.map(({ data, id }) => ({ id, data: { sku: input.sku, stock: data.stock } }))
  )

export const searchProducts = Effect.fn("searchProducts")(function* ({
  input
}: Call<typeof contract.products.search>) {
  const words = input.text
    .normalize("NFKC")
    .split(/\s+/u)
    .filter((word) => word !== "")
  return yield* pageBySku({ category: input.category, words }, input)
})

interface PageInput {
  readonly cursor?: string
  readonly limit?: number
}

const pageBySku = Effect.fnUntraced(function* (filter: ProductFilter, input: PageInput) {
  const after = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).sku
  const limit = input.limit ?? PAGE_SIZE.default
  const rows = yield* listProducts(filter, after, limit + 1)
  return toPage(rows.map(productOf), limit, ({ sku }) => cursor.encode({ sku }))
})

export const categories = Effect.fn("categories")(function* () {
  const rows = yield* countCategories
  return rows.map(({ category, products }) => ({ category: category ?? "", products }))
})

export const adjustStock = Effect.fn("adjustStock")(function* (
  call: Call<typeof contract.admin.adjustStock>
) {
  const { caller, input, request } = call
  return yield* withIdempotency(
    { procedure: contract.admin.adjustStock, userId: caller.userId, request, input },
    adjust(input.sku, input.delta, input.reason)
  ).pipe(Effect.tap(() => productsChanged([input])))
})

const adjust = Effect.fnUntraced(function* (sku: Sku, delta: number, reason: string) {
  const isMoved = yield* moveStock(sku, delta, MAXIMUM_STOCK)
  const row = yield* lockProduct(sku)
  if (row === undefined) return yield* new ProductNotFound({ sku })
  if (!isMoved && delta < 0) return yield* new OutOfStock({ sku, requested: -delta, available: row.stock })
  if (!isMoved) return yield* new StockLimitExceeded({ sku, maximum: MAXIMUM_STOCK })
  yield* insertStockMovements([{ sku, delta, kind: "adjustment", reason }])
  yield* insertOutbox("stock.adjusted", { skus: [sku] })
  return productOf(row)
})

/** A line of an order with the price that the database knows. */
export interface PricedLine extends OrderLine {
  readonly unitPriceMinor: AmountMinor
}

/**
 * Reserves the units of canonical lines for an order, inside the order's transaction: all of them or none. The rows
 * stay locked until the commit, so the prices read here are the prices of that moment.
 */
export const reserveStock = Effect.fnUntraced(function* (orderId: OrderId, lines: ReadonlyArray<OrderLine>) {
  const products = yield* lockProducts(lines.map(({ sku }) => sku))
  const priced: Array<PricedLine> = []
  for (const { quantity, sku } of lines) {
    const product = products.get(sku)
    if (product === undefined) return yield* new ProductNotFound({ sku })
    if (product.stock < quantity)
      return yield* new OutOfStock({ sku, requested: quantity, available: product.stock })
    priced.push({ sku, quantity, unitPriceMinor: AmountMinor.make(product.price_minor) })
  }
  const taken = yield* takeStock(lines)
  // The guard of the UPDATE can only refuse what the lock above failed to protect: a bug, never a sale.
  if (taken !== lines.length)
    return yield* Effect.die(new Error(`${lines.length} products were locked, ${taken} had enough`))
  yield* insertStockMovements(
    lines.map(({ quantity, sku }) => ({ sku, delta: -quantity, kind: "reservation", orderId }))
  )
  return priced
})

/**
 * Puts an order's units back, inside the cancellation's transaction. The ledger's unique key refuses to release the
 * same order twice.
 */
export const releaseStock = Effect.fnUntraced(function* (orderId: OrderId, lines: ReadonlyArray<OrderLine>) {
  yield* lockProducts(lines.map(({ sku }) => sku))
  yield* putStock(lines)
  yield* insertStockMovements(
    lines.map(({ quantity, sku }) => ({ sku, delta: quantity, kind: "release", orderId }))
  )
})

/** The names of products by SKU; a product that is gone has none. */
export const productNames = Effect.fnUntraced(function* (skus: ReadonlyArray<Sku>) {
  const rows = skus.length === 0 ? [] : yield* listNames(skus)
  return new Map(rows.map(({ name, sku }) => [sku, name] as const))
})
