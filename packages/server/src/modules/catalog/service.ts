import {
  type AmountMinor,
  contract,
  type DecodedInputOf,
  MAXIMUM_STOCK,
  type OrderId,
  type OrderLine,
  OutOfStock,
  Product,
  ProductNotFound,
  searchWords,
  Sku,
  SkuTaken,
  StockLimitExceeded
} from "@holdfast/domain"
import { Effect, Result, Schema, Stream } from "effect"
import { Cache, invalidate } from "../../platform/cache/cache.ts"
import { command } from "../../platform/command/command.ts"
import { makePages } from "../../platform/db/pagination.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import { query, subscription } from "../../platform/trpc/handler.ts"
import { LiveStock } from "./live-stock.ts"
import {
  countCategories,
  existingSkus,
  findProducts,
  insertProducts,
  insertStockMovements,
  listNames,
  listProducts,
  lockProductRows,
  moveStocks
} from "./repository.ts"

export const createProduct = command(contract.admin.createProduct, {
  prepare: ({ input: { initialStock, ...described } }) =>
    Effect.succeed({ ...described, stock: initialStock }),
  transaction: {
    lock: (products) => lockProducts(products.map(({ sku }) => sku)),
    decide: (existing, products, now) => {
      const taken = new Set(existing.keys())
      return products.map((product) => {
        if (taken.has(product.sku)) return Result.fail(new SkuTaken({ sku: product.sku }))
        taken.add(product.sku)
        return Result.succeed({ output: { ...product, createdAt: now } })
      })
    },
    write: (created) => insertCreated(created.map(({ output }) => output))
  },
  afterCommit: (products) => invalidate([CATALOGUE_TAG, ...products.map(({ sku }) => productTag(sku))])
})

const insertCreated = Effect.fnUntraced(function* (products: ReadonlyArray<Product>) {
  yield* insertProducts(products)
  yield* insertStockMovements(products.map(({ sku, stock }) => ({ sku, quantity: stock, kind: "initial" })))
  yield* insertEvents(products.map(({ sku }) => ({ topic: "product.created", payload: { skus: [sku] } })))
})

export const adjustStock = command(contract.admin.adjustStock, {
  prepare: ({ input }) => Effect.succeed(input),
  transaction: {
    lock: (adjustments) => lockProducts(adjustments.map(({ sku }) => sku)),
    decide: adjustStocks,
    write: insertAdjusted
  },
  afterCommit: (products) => productsChanged(products)
})

/** No adjustment takes a stock below 0, or adds to it beyond the maximum; adjustments of one product follow one another. */
export function adjustStocks(
  products: ReadonlyMap<Sku, Product>,
  adjustments: ReadonlyArray<DecodedInputOf<typeof contract.admin.adjustStock>>
): ReadonlyArray<Result.Result<AdjustedStock, ProductNotFound | OutOfStock | StockLimitExceeded>> {
  const current = new Map(products)
  return adjustments.map(({ delta, reason, sku }) => {
    const product = current.get(sku)
    if (product === undefined) return Result.fail(new ProductNotFound({ sku }))
    const stock = product.stock + delta
    if (stock < 0) return Result.fail(new OutOfStock({ sku, requested: -delta, available: product.stock }))
    if (delta > 0 && stock > MAXIMUM_STOCK)
      return Result.fail(new StockLimitExceeded({ sku, maximum: MAXIMUM_STOCK }))
    const adjusted: Product = { ...product, stock }
    current.set(sku, adjusted)
    return Result.succeed({ output: adjusted, delta, reason })
  })
}

interface AdjustedStock {
  readonly output: Product
  readonly delta: number
  readonly reason: string
}

function insertAdjusted(adjusted: ReadonlyArray<AdjustedStock>) {
  return Effect.gen(function* () {
    const movements = adjusted.map(({ delta, output: { sku }, reason }) => ({
      sku,
      quantity: delta,
      kind: "adjustment" as const,
      reason
    }))
    yield* moveStocksExactly(movements)
    yield* insertStockMovements(movements)
    yield* insertEvents(movements.map(({ sku }) => ({ topic: "stock.adjusted", payload: { skus: [sku] } })))
  })
}

export const productBySku = query(
  contract.products.bySku,
  Effect.fnUntraced(function* ({ input }) {
    const [product] = yield* cachedProducts([input.sku])
    return product ?? (yield* new ProductNotFound({ sku: input.sku }))
  })
)

export const productPage = query(
  contract.products.page,
  Effect.fnUntraced(function* ({ input }) {
    const page = yield* cachedPage(input)
    return { ...page, items: yield* cachedProducts(page.items) }
  })
)

const CachedPage = Schema.Struct({
  items: Schema.Array(Sku),
  nextCursor: Schema.optionalKey(Schema.String)
})

/**
 * A cached page lists SKUs; products are cached one by one, so a sale invalidates only what it sold. Only the first page
 * of a category with products is cached: callers could fill the cache with any number of others.
 */
const cachedPage = Effect.fnUntraced(function* (input: DecodedInputOf<typeof contract.products.page>) {
  const cache = yield* Cache
  const read = Effect.map(pageBySku({ category: input.category }, input), (page) => ({
    ...page,
    items: page.items.map(({ sku }) => sku)
  }))
  if (input.cursor !== undefined) return yield* read
  const name = `page:${JSON.stringify([input.category, input.limit])}`
  const load = () => Effect.map(read, (page) => new Map(page.items.length === 0 ? [] : [[name, page]]))
  const cached = yield* cache.getMany(CachedPage, [{ name, tag: CATALOGUE_TAG }], load)
  return cached.get(name) ?? { items: [] }
})

/** Products in the order of the SKUs; SKUs without a product are left out. */
const cachedProducts = Effect.fnUntraced(function* (skus: ReadonlyArray<Sku>) {
  const cache = yield* Cache
  const skuOf = new Map(skus.map((sku) => [productTag(sku), sku] as const))
  const load = (names: ReadonlyArray<string>) =>
    findProducts(names.map((name) => skuOf.get(name)!)).pipe(
      Effect.map((products) => new Map(products.map((product) => [productTag(product.sku), product])))
    )
  const cached = yield* cache.getMany(
    Product,
    [...skuOf.keys()].map((name) => ({ name, tag: name })),
    load
  )
  return skus.flatMap((sku) => {
    const product = cached.get(productTag(sku))
    return product === undefined ? [] : [product]
  })
})

/** The tag of everything that depends on which products exist. */
export const CATALOGUE_TAG = "catalogue"

/** The tag of everything that depends on one product. */
export const productTag = (sku: string): string => `product:${sku}`

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

export const searchProducts = query(contract.products.search, ({ input }) =>
  pageBySku({ category: input.category, words: searchWords(input.text) }, input)
)

const pages = makePages(Schema.Struct({ sku: Sku }))

const pageBySku = (
  filter: Parameters<typeof listProducts>[0],
  input: { readonly cursor?: string; readonly limit?: number }
) =>
  pages(
    input,
    (behind, limit) => listProducts(filter, behind?.sku, limit),
    ({ sku }) => ({ sku })
  )

export const categories = query(contract.products.categories, () =>
  Effect.map(countCategories, (rows) =>
    rows.map(({ category, products }) => ({ category: category ?? "", products }))
  )
)

/** The names of products by SKU; a SKU without a product has none. */
export const productNames = Effect.fnUntraced(function* (skus: ReadonlyArray<Sku>) {
  const rows = skus.length === 0 ? [] : yield* listNames(skus)
  return new Map(rows.map(({ name, sku }) => [sku, name] as const))
})

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
  orders.flatMap(({ lines, orderId }) =>
    lines.map(({ quantity, sku }) => ({ sku, quantity: sign * quantity, kind, orderId }))
  )

/** The guard can only refuse what the row locks failed to protect, so a refusal is a bug. */
const moveStocksExactly = Effect.fnUntraced(function* (movements: ReadonlyArray<OrderLine>) {
  const quantityOfSku = new Map<Sku, number>()
  for (const { quantity, sku } of movements) quantityOfSku.set(sku, (quantityOfSku.get(sku) ?? 0) + quantity)
  // What comes back always fits: only an adjustment stops at the maximum.
  const moved = yield* moveStocks(quantityOfSku, Number.MAX_SAFE_INTEGER)
  if (moved !== quantityOfSku.size)
    return yield* Effect.die(new Error(`${quantityOfSku.size} products were locked, ${moved} could be moved`))
})
