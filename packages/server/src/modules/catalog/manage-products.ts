import {
  contract,
  type DecodedInputOf,
  MAXIMUM_STOCK,
  OutOfStock,
  type Product,
  ProductNotFound,
  type Sku,
  SkuTaken,
  StockLimitExceeded,
  type UserId
} from "@holdfast/domain"
import { Effect, Result } from "effect"
import { invalidate } from "../../platform/cache/cache.ts"
import { command } from "../../platform/command/command.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import { insertProducts, insertStockMovements } from "./repository.ts"
import { CATALOGUE_TAG, lockProducts, moveStocksExactly, productsChanged, productTag } from "./service.ts"

export const createProduct = command(contract.admin.createProduct, {
  prepare: ({ caller, input: { initialStock, ...described } }) =>
    Effect.succeed({ actorId: caller.userId, product: { ...described, stock: initialStock } }),
  transaction: {
    lock: (requests) => lockProducts(requests.map(({ product }) => product.sku)),
    decide: (existing, requests, now) => {
      const taken = new Set(existing.keys())
      return requests.map(({ actorId, product }) => {
        if (taken.has(product.sku)) return Result.fail(new SkuTaken({ sku: product.sku }))
        taken.add(product.sku)
        return Result.succeed({ output: { ...product, createdAt: now }, actorId })
      })
    },
    write: insertCreated,
    audit: ({ output: { category, name, priceMinor, sku, stock } }) => ({
      subject: subjectOf(sku),
      after: { name, category, priceMinor, stock }
    })
  },
  afterCommit: (products) => invalidate([CATALOGUE_TAG, ...products.map(({ sku }) => productTag(sku))])
})

interface CreatedProduct {
  readonly output: Product
  readonly actorId: UserId
}

function insertCreated(created: ReadonlyArray<CreatedProduct>) {
  return Effect.gen(function* () {
    yield* insertProducts(created.map(({ output }) => output))
    yield* insertStockMovements(
      created.map(({ actorId, output: { sku, stock } }) => ({
        sku,
        quantity: stock,
        kind: "initial",
        actorId
      }))
    )
    yield* insertEvents(
      created.map(({ output: { sku } }) => ({ topic: "product.created", payload: { skus: [sku] } }))
    )
  })
}

/** A product, as the audit trail names it. */
const subjectOf = (sku: Sku): string => `product:${sku}`

export const adjustStock = command(contract.admin.adjustStock, {
  prepare: ({ caller, input }) => Effect.succeed({ ...input, actorId: caller.userId }),
  transaction: {
    lock: (adjustments) => lockProducts(adjustments.map(({ sku }) => sku)),
    decide: adjustStocks,
    write: insertAdjusted,
    audit: ({ delta, output: { sku, stock } }) => ({
      subject: subjectOf(sku),
      before: { stock: stock - delta },
      after: { stock }
    })
  },
  afterCommit: (products) => productsChanged(products)
})

/** No adjustment takes a stock below 0, or adds to it beyond the maximum; adjustments of one product follow one another. */
export function adjustStocks(
  products: ReadonlyMap<Sku, Product>,
  adjustments: ReadonlyArray<RequestedAdjustment>
): ReadonlyArray<Result.Result<AdjustedStock, ProductNotFound | OutOfStock | StockLimitExceeded>> {
  const current = new Map(products)
  return adjustments.map(({ actorId, delta, reason, sku }) => {
    const product = current.get(sku)
    if (product === undefined) return Result.fail(new ProductNotFound({ sku }))
    const stock = product.stock + delta
    if (stock < 0) return Result.fail(new OutOfStock({ sku, requested: -delta, available: product.stock }))
    if (delta > 0 && stock > MAXIMUM_STOCK)
      return Result.fail(new StockLimitExceeded({ sku, maximum: MAXIMUM_STOCK }))
    const adjusted: Product = { ...product, stock }
    current.set(sku, adjusted)
    return Result.succeed({ output: adjusted, actorId, delta, reason })
  })
}

type RequestedAdjustment = DecodedInputOf<typeof contract.admin.adjustStock> & { readonly actorId: UserId }

interface AdjustedStock {
  readonly output: Product
  readonly actorId: UserId
  readonly delta: number
  readonly reason: string
}

function insertAdjusted(adjusted: ReadonlyArray<AdjustedStock>) {
  return Effect.gen(function* () {
    const movements = adjusted.map(({ actorId, delta, output: { sku }, reason }) => ({
      sku,
      actorId,
      quantity: delta,
      kind: "adjustment" as const,
      reason
    }))
    yield* moveStocksExactly(movements)
    yield* insertStockMovements(movements)
    yield* insertEvents(movements.map(({ sku }) => ({ topic: "stock.adjusted", payload: { skus: [sku] } })))
  })
}
