import { AmountMinor, type OrderId, type Product, Sku } from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { read } from "../../db/Database.ts"
import { bytesOf } from "../../db/ids.ts"
import { write, writeUnique } from "../../db/transaction.ts"

const productColumns = ["sku", "name", "price_minor", "stock", "created_at"] as const

interface ProductRow {
  readonly sku: string
  readonly name: string
  readonly price_minor: number
  readonly stock: number
  readonly created_at: Date
}

export const productOf = (row: ProductRow): Product => ({
  sku: Sku.make(row.sku),
  name: row.name,
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
        price_minor: product.priceMinor,
        stock: product.stock,
        created_at: product.createdAt
      })
      .execute(options)
  )

export const findProduct = (sku: Sku) =>
  read((db, options) =>
    db.selectFrom("products").select(productColumns).where("sku", "=", sku).executeTakeFirst(options)
  )

/** Products in the order of their SKU, from behind `after`. */
export const listProducts = (after: string | undefined, limit: number) =>
  read((db, options) =>
    db
      .selectFrom("products")
      .select(productColumns)
      .$if(after !== undefined, (query) => query.where("sku", ">", after as string))
      .orderBy("sku")
      .limit(limit)
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
  const quantityOfSku = sql<number>`case sku ${sql.join(
    lines.map(({ quantity, sku }) => sql`when ${sku} then ${quantity}`),
    sql` `
  )} end`
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

export interface StockMovement {
  readonly sku: Sku
  readonly delta: number
  readonly kind: "initial" | "adjustment" | "reservation"
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
