import {
  type AmountMinor,
  contract,
  type DecodedInputOf,
  type OrderId,
  type OrderLine,
  OutOfStock,
  PAGE_SIZE,
  Product,
  ProductNotFound,
  searchWords,
  Sku,
  type UserId
} from "@holdfast/domain"
import { Effect, Result, Schema, Stream } from "effect"
import { Cache, invalidate } from "../../platform/cache/cache.ts"
import { type CacheKey, slotOf } from "../../platform/cache/entries.ts"
import { makeListed } from "../../platform/cache/lists.ts"
import { makePages } from "../../platform/db/pagination.ts"
import { query, subscription } from "../../platform/trpc/handler.ts"
import { LiveStock } from "./live-stock.ts"
import {
  countCategories,
  existingSkus,
  findProducts,
  insertStockMovements,
  listProducts,
  lockProductRows,
  moveStocks,
  type ProductFilter
} from "./repository.ts"

/** The tag of everything that depends on which products exist. */
export const CATALOGUE_TAG = "catalogue"

/** The tag of everything that depends on one product. */
export const productTag = (sku: string): string => `product:${sku}`

/** Products, cached one by one: a sale invalidates what it has sold, and no list. */
const listed = makeListed({
  id: Sku,
  item: Product,
  idOf: ({ sku }) => sku,
  keyOf: (sku) => ({ name: productTag(sku), tag: productTag(sku), absentTag: CATALOGUE_TAG }),
  find: findProducts
})

export const productBySku = query(
  contract.products.bySku,
  Effect.fnUntraced(function* ({ input }) {
    const [product] = yield* listed.byIds([input.sku])
    return product ?? (yield* new ProductNotFound({ sku: input.sku }))
  })
)

const pages = makePages(Schema.Struct({ sku: Sku }))

const keyOf = ({ sku }: Product) => ({ sku })

/** Only the first page of a list is cached: callers could fill the cache with any number of others. */
const pageOf = (
  filter: ProductFilter,
  input: DecodedInputOf<typeof contract.products.page>,
  list: (size: number) => CacheKey
) =>
  input.cursor === undefined
    ? listed.firstPage({
        limit: input.limit ?? PAGE_SIZE.default,
        keyOf: list,
        query: (limit) => listProducts(filter, undefined, limit),
        pageOf: (products, limit) => pages.of(products, limit, keyOf)
      })
    : pages(input, (behind, limit) => listProducts(filter, behind?.sku, limit), keyOf)

export const productPage = query(contract.products.page, ({ input }) =>
  pageOf({ category: input.category }, input, (size) => ({
    name: `page:${JSON.stringify([input.category, size])}`,
    tag: CATALOGUE_TAG,
    absentTag: CATALOGUE_TAG
  }))
)

/** How many searches the cache holds at most. */
const SEARCHES = 1_000

export const searchProducts = query(contract.products.search, ({ input }) => {
  const words = [...new Set(searchWords(input.text))].toSorted()
  return pageOf({ category: input.category, words }, input, (size) => {
    const name = `search:${JSON.stringify([words, input.category, size])}`
    return { name, tag: CATALOGUE_TAG, slot: `search:${slotOf(name, SEARCHES)}` }
  })
})

const Categories = contract.products.categories.output

export const categories = query(
  contract.products.categories,
  Effect.fnUntraced(function* () {
    const cache = yield* Cache
    const load = () =>
      Effect.map(countCategories, (rows) => {
        const counts = rows.map(({ category, products }) => ({ category: category ?? "", products }))
        return new Map([["categories", counts]])
      })
    const cached = yield* cache.getMany(Categories, [{ name: "categories", tag: CATALOGUE_TAG }], load)
    return cached.get("categories")!
  })
)

/** The names of products by SKU; a SKU without a product has none. */
export const productNames = (skus: ReadonlyArray<Sku>) =>
  Effect.map(listed.byIds(skus), (products) => new Map(products.map(({ name, sku }) => [sku, name] as const)))

/** Call after the commit of a change: readers get the new state, subscribers are notified. */
export const productsChanged = (lines: ReadonlyArray<{ readonly sku: Sku }>) => {
  const skus = [...new Set(lines.map(({ sku }) => sku))]
  return Effect.andThen(
    LiveStock.use((live) => live.notify(skus)),
    invalidate(skus.map(productTag))
  )
}

/** The stock of a product now, and after every change. */
export const watchStock = subscription(contract.products.watchStock, ({ input }) =>
  Stream.unwrap(Effect.map(LiveStock, (live) => live.watch(input.sku))).pipe(
    Stream.mapEffect((row) =>
      row === undefined ? new ProductNotFound({ sku: input.sku }) : Effect.succeed(row)
    ),
    Stream.map(({ movement, stock }) => ({ id: String(movement), data: { sku: input.sku, stock } }))
  )
)

/**
 * Locks products in primary-key order until the transaction ends. SKUs without a product are left out, and with "skip"
 * the products that other transactions hold.
 */
export const lockProducts = (skus: Iterable<Sku>, heldRows: "skip" | "wait" = "wait") => {
  const distinct = [...new Set(skus)]
  return distinct.length === 0 ? Effect.succeed(new Map<Sku, Product>()) : lockProductRows(distinct, heldRows)
}

/** The products among these SKUs that {@link lockProducts} has skipped, not those that do not exist. */
export const skippedProducts = (skus: Iterable<Sku>, locked: ReadonlyMap<Sku, Product>) => {
  const missing = [...new Set(skus)].filter((sku) => !locked.has(sku))
  return missing.length === 0 ? Effect.succeed<ReadonlyArray<Sku>>([]) : existingSkus(missing)
}

/** A line of an order with the price of the product at that moment. */
export interface PricedLine extends OrderLine {
  readonly unitPriceMinor: AmountMinor
}

/**
 * Prices the lines of an order. Pure.
 * @param remaining units that are left of each product
 */
export const priceLines = (
  lines: ReadonlyArray<OrderLine>,
  products: ReadonlyMap<Sku, Product>,
  remaining: ReadonlyMap<Sku, number>
): Result.Result<ReadonlyArray<PricedLine>, ProductNotFound | OutOfStock> => {
  const priced: Array<PricedLine> = []
  for (const { quantity, sku } of lines) {
    const product = products.get(sku)
    if (product === undefined) return Result.fail(new ProductNotFound({ sku }))
    const available = remaining.get(sku) ?? 0
    if (available < quantity) return Result.fail(new OutOfStock({ sku, requested: quantity, available }))
    priced.push({ sku, quantity, unitPriceMinor: product.priceMinor })
  }
  return Result.succeed(priced)
}

/** Units that an order holds. */
export interface OrderUnits {
  readonly orderId: OrderId
  /** Who orders or cancels. Absent for the shop's own job. */
  readonly actorId?: UserId | undefined
  readonly lines: ReadonlyArray<OrderLine>
}

/** Takes the units of orders out of the locked products. */
export const reserveUnits = Effect.fnUntraced(function* (orders: ReadonlyArray<OrderUnits>) {
  const movements = movementsOf(orders, "reservation", -1)
  yield* moveStocksExactly(movements)
  yield* insertStockMovements(movements)
})

/** Puts the units of cancelled orders back into the locked products. */
export const releaseUnits = Effect.fnUntraced(function* (orders: ReadonlyArray<OrderUnits>) {
  const movements = movementsOf(orders, "release", 1)
  yield* moveStocksExactly(movements)
  yield* insertStockMovements(movements)
})

const movementsOf = (orders: ReadonlyArray<OrderUnits>, kind: "reservation" | "release", sign: 1 | -1) =>
  orders.flatMap(({ actorId, lines, orderId }) =>
    lines.map(({ quantity, sku }) => ({ sku, quantity: sign * quantity, kind, orderId, actorId }))
  )

/** The guard can only refuse what the row locks failed to protect, so a refusal is a bug. */
export const moveStocksExactly = Effect.fnUntraced(function* (movements: ReadonlyArray<OrderLine>) {
  const quantityOfSku = new Map<Sku, number>()
  for (const { quantity, sku } of movements) quantityOfSku.set(sku, (quantityOfSku.get(sku) ?? 0) + quantity)
  // What comes back always fits: only an adjustment stops at the maximum.
  const moved = yield* moveStocks(quantityOfSku, Number.MAX_SAFE_INTEGER)
  if (moved !== quantityOfSku.size)
    return yield* Effect.die(new Error(`${quantityOfSku.size} products were locked, ${moved} could be moved`))
})
