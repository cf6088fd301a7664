import {
  AmountMinor,
  type OrderId,
  type OrderLine,
  type Product,
  searchForm,
  Sku,
  type UserId
} from "@holdfast/domain"
import { Effect } from "effect"
import { type Selectable, sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { tx } from "../../platform/db/transaction.ts"

const productColumns = ["sku", "name", "category", "price_minor", "stock", "created_at"] as const

type ProductRow = Pick<Selectable<DB["products"]>, (typeof productColumns)[number]>

const productOf = (row: ProductRow): Product => ({
  sku: Sku.make(row.sku),
  name: row.name,
  ...(row.category === null ? {} : { category: row.category }),
  priceMinor: AmountMinor.make(row.price_minor),
  stock: row.stock,
  createdAt: row.created_at
})

const productsOf = (rows: ReadonlyArray<ProductRow>) => rows.map(productOf)

/** The primary key decides who gets a SKU: the loser's transaction starts over and finds the winner's row. */
export const insertProducts = (products: ReadonlyArray<Product>) =>
  tx.insertOrRestart((q) =>
    q.insertInto("products").values(
      products.map((product) => ({
        sku: product.sku,
        name: product.name,
        category: product.category ?? null,
        price_minor: product.priceMinor,
        stock: product.stock,
        created_at: product.createdAt,
        search_text: searchForm(`${product.sku} ${product.name}`)
      }))
    )
  )

export const findProducts = (skus: ReadonlyArray<Sku>) =>
  db
    .rows((q) => q.selectFrom("products").select(productColumns).where("sku", "in", skus))
    .pipe(Effect.map(productsOf))

/** A product's stock, and the number of its last movement. */
export interface StockRow {
  readonly sku: string
  readonly stock: number
  readonly movement: number
}

/**
 * Committed stocks. Movements of a product are numbered under its row lock, so the numbers follow the order of the
 * commits; one statement reads both columns from one snapshot.
 */
export const findStocks = (skus: ReadonlyArray<Sku>) =>
  db.rows(
    () => sql<StockRow>`
      select sku, stock,
        coalesce((select id from stock_ledger where sku = products.sku order by id desc limit 1), 0) as movement
      from products where sku in (${sql.join(skus)})`
  )

/** Which products a list contains: those of a category, those with every one of the words in search form. */
export interface ProductFilter {
  readonly category?: string | undefined
  readonly words?: ReadonlyArray<string>
}

/** Products by SKU, from behind `after`. */
export const listProducts = (
  { category, words = [] }: ProductFilter,
  after: string | undefined,
  limit: number
) =>
  db
    .rows((q) => {
      let query = q.selectFrom("products").select(productColumns).orderBy("sku").limit(limit)
      if (after !== undefined) query = query.where("sku", ">", after)
      if (category !== undefined) query = query.where("category", "=", category)
      for (const word of words) query = query.where(hasWord(word))
      return query
    })
    .pipe(Effect.map(productsOf))

/**
 * Compares a word with the product's searched text, both in the domain's search form; escapes SQL's wildcards. A product
 * that a server of the previous version adds during a deployment has no such text yet.
 */
const hasWord = (word: string) =>
  sql<boolean>`coalesce(search_text, lower(concat(sku, ' ', name))) like ${`%${word.replaceAll(/[!%_]/g, "!$&")}%`} escape '!'`

export const countCategories = db.rows((q) =>
  q
    .selectFrom("products")
    .select((columns) => ["category", columns.fn.countAll<number>().as("products")])
    .where("category", "is not", null)
    .groupBy("category")
    .orderBy("category")
)

/**
 * Locks products in primary-key order, so that two baskets with the same goods cannot deadlock. The index is forced
 * because another plan could visit, and lock, the rows in another order. SKUs without a product are left out, and with
 * "skip" the rows that other transactions hold.
 */
export const lockProductRows = (skus: ReadonlyArray<Sku>, heldRows: "skip" | "wait") =>
  tx
    .timed(
      () => sql<ProductRow & { readonly read_at: Date }>`
        select ${sql.join(productColumns.map((column) => sql.ref(column)))}, sysdate(3) as read_at
        from products force index (primary)
        where sku in (${sql.join(skus)}) order by sku for update ${sql.raw(heldRows === "skip" ? "skip locked" : "")}`
    )
    .pipe(Effect.map((rows) => new Map(productsOf(rows).map((product) => [product.sku, product]))))

/** Which of the SKUs have a product. Locks nothing. */
export const existingSkus = (skus: ReadonlyArray<Sku>) =>
  tx
    .rows((q) => q.selectFrom("products").select("sku").where("sku", "in", skus))
    .pipe(Effect.map((rows) => rows.map(({ sku }) => Sku.make(sku))))

/** Adds to stocks, or takes where a quantity is below 0; guarded so that each stays between 0 and `maximum`. */
export const moveStocks = (quantityOfSku: ReadonlyMap<Sku, number>, maximum: number) => {
  const quantity = sql<number>`case sku ${sql.join(
    [...quantityOfSku].map(([sku, units]) => sql`when ${sku} then ${units}`),
    sql` `
  )} end`
  return tx.affected((q) =>
    q
      .updateTable("products")
      .set({ stock: sql<number>`stock + ${quantity}` })
      .where("sku", "in", [...quantityOfSku.keys()])
      .where(sql<boolean>`stock + ${quantity} between 0 and ${maximum}`)
  )
}

export interface StockMovement extends OrderLine {
  readonly kind: "initial" | "adjustment" | "reservation" | "release"
  readonly orderId?: OrderId
  readonly reason?: string
  /** Who moves the units. Absent for the shop's own jobs. */
  readonly actorId?: UserId | undefined
}

/** The ledger's unique key refuses to reserve or release a product twice for the same order. */
export const insertStockMovements = (movements: ReadonlyArray<StockMovement>) =>
  tx.affected((q) =>
    q.insertInto("stock_ledger").values(
      movements.map(({ actorId, kind, orderId, quantity, reason, sku }) => ({
        sku,
        delta: quantity,
        kind,
        order_id: orderId === undefined ? null : bytesOf(orderId),
        reason: reason ?? null,
        actor_id: actorId === undefined ? null : bytesOf(actorId)
      }))
    )
  )
