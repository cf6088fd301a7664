import { AmountMinor, type OrderId, type Product, Sku } from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { read } from "../../platform/db/database.ts"
import { bytesOf } from "../../platform/db/ids.ts"
import { write, writeUnique } from "../../platform/db/transaction.ts"

const productColumns = ["sku", "name", "category", "price_minor", "stock", "created_at"] as const

interface ProductRow {
  readonly sku: string
  readonly name: string
  readonly category: string | null
  readonly price_minor: number
  readonly stock: number
  readonly created_at: Date
}

export const productOf = (row: ProductRow): Product => ({
  sku: Sku.make(row.sku),
  name: row.name,
  ...(row.category === null ? {} : { category: row.category }),
  priceMinor: AmountMinor.make(row.price_minor),
  stock: row.stock,
  createdAt: row.created_at
})

/** The primary key decides who has the SKU. */
export const insertProduct = (product: Product) =>
  writeUnique((tx, options) =>
    tx
      .insertInto("products")
      .values({
        sku: product.sku,
        name: product.name,
        category: product.category ?? null,
        price_minor: product.priceMinor,
        stock: product.stock,
        created_at: product.createdAt
      })
      .execute(options)
  )

export const findProducts = (skus: ReadonlyArray<Sku>) =>
  read((db, options) =>
    db.selectFrom("products").select(productColumns).where("sku", "in", skus).execute(options)
  )

/** A product's stock, and the number of its last movement. */
export interface StockRow {
  readonly sku: string
  readonly stock: number
  readonly movement: number
}

/**
 * Stocks as they are committed. Movements of one product are numbered under the lock of its row, so their numbers are
 * in the order of the commits; both columns are of the same moment, because one statement sees one.
 */
export const findStocks = (skus: ReadonlyArray<Sku>) =>
  read((db, options) =>
    sql<StockRow>`
      select sku, stock,
        coalesce((select id from stock_ledger where sku = products.sku order by id desc limit 1), 0) as movement
      from products where sku in (${sql.join(skus)})`.execute(db, options)
  ).pipe(Effect.map(({ rows }) => rows))

/** Which products a list has: those of a category, those with every one of the words. */
export interface ProductFilter {
  readonly category?: string | undefined
  readonly words?: ReadonlyArray<string>
}

/** Products in the order of their SKU, from behind `after`. */
export const listProducts = (
  { category, words = [] }: ProductFilter,
  after: string | undefined,
  limit: number
) =>
  read((db, options) => {
    let query = db.selectFrom("products").select(productColumns).orderBy("sku").limit(limit)
    if (after !== undefined) query = query.where("sku", ">", after)
    if (category !== undefined) query = query.where("category", "=", category)
    for (const word of words) query = query.where(hasWord(word))
    return query.execute(options)
  })

/** Case and accents do not matter; what is a wildcard to SQL is a character like any other here. */
const hasWord = (word: string) =>
  sql<boolean>`concat(sku, ' ', name) collate utf8mb4_unicode_ci like ${`%${word.replaceAll(/[!%_]/g, "!$&")}%`} escape '!'`

export const countCategories = read((db, options) =>
  db
    .selectFrom("products")
    .select((columns) => ["category", columns.fn.countAll<number>().as("products")])
    .where("category", "is not", null)
    .groupBy("category")
    .orderBy("category")
    .execute(options)
)

/** One guarded UPDATE: the stock moves only where it stays between 0 and the maximum. */
export const moveStock = (sku: Sku, delta: number, maximum: number) =>
  write((tx, options) =>
    tx
      .updateTable("products")
      .set({ stock: sql<number>`stock + ${delta}` })
      .where("sku", "=", sku)
      .where(sql<boolean>`stock + ${delta} between 0 and ${maximum}`)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))

export const lockProduct = (sku: Sku) =>
  write((tx, options) =>
    tx
      .selectFrom("products")
      .select(productColumns)
      .where("sku", "=", sku)
      .forUpdate()
      .executeTakeFirst(options)
  )

/**
 * Locks the rows of several products, always in the order of their primary key, whatever order the basket had: two
 * baskets with the same goods cannot wait for each other in a circle. The index is forced because another plan could
 * visit, and lock, the rows in another order.
 */
export const lockProducts = (skus: ReadonlyArray<Sku>) =>
  write((tx, options) =>
    sql<{ sku: string; price_minor: number; stock: number }>`
      select sku, price_minor, stock from products force index (primary)
      where sku in (${sql.join(skus)}) order by sku for update`.execute(tx, options)
  ).pipe(Effect.map((result) => new Map(result.rows.map((row) => [row.sku as Sku, row] as const))))

/** Takes all the lines' units in one guarded UPDATE; returns how many products had enough. */
export const takeStock = (lines: ReadonlyArray<{ readonly sku: Sku; readonly quantity: number }>) => {
  const quantityOfSku = quantityBySku(lines)
  return write((tx, options) =>
    tx
      .updateTable("products")
      .set({ stock: sql<number>`stock - ${quantityOfSku}` })
      .where(
        "sku",
        "in",
        lines.map(({ sku }) => sku)
      )
      .where(sql<boolean>`stock >= ${quantityOfSku}`)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => Number(result.numUpdatedRows)))
}

/** Puts all the lines' units back in one UPDATE. Their rows are locked by now, in the order of their key. */
export const putStock = (lines: ReadonlyArray<{ readonly sku: Sku; readonly quantity: number }>) => {
  const quantityOfSku = quantityBySku(lines)
  const skus = lines.map(({ sku }) => sku)
  return write((tx, options) =>
    tx
      .updateTable("products")
      .set({ stock: sql<number>`stock + ${quantityOfSku}` })
      .where("sku", "in", skus)
      .executeTakeFirst(options)
  )
}

const quantityBySku = (lines: ReadonlyArray<{ readonly sku: Sku; readonly quantity: number }>) =>
  sql<number>`case sku ${sql.join(
    lines.map(({ quantity, sku }) => sql`when ${sku} then ${quantity}`),
    sql` `
  )} end`

export interface StockMovement {
  readonly sku: Sku
  readonly delta: number
  readonly kind: "initial" | "adjustment" | "reservation" | "release"
  readonly orderId?: OrderId
  readonly reason?: string
}

export const insertStockMovements = (movements: ReadonlyArray<StockMovement>) =>
  write((tx, options) =>
    tx
      .insertInto("stock_ledger")
      .values(
        movements.map((movement) => ({
          sku: movement.sku,
          delta: movement.delta,
          kind: movement.kind,
          order_id: movement.orderId === undefined ? null : bytesOf(movement.orderId),
          reason: movement.reason ?? null
        }))
      )
      .execute(options)
  )

export const listNames = (skus: ReadonlyArray<Sku>) =>
  read((db, options) =>
    db.selectFrom("products").select(["sku", "name"]).where("sku", "in", skus).execute(options)
  )
