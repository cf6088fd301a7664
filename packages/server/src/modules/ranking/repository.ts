import { type OrderId, Sku } from "@holdfast/domain"
import { Effect } from "effect"
import { type Kysely, sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import type { DB } from "../../platform/db/tables.ts"
import { tx } from "../../platform/db/transaction.ts"
import { bytesOf, orderIdOf, textOf } from "../../platform/db/ids.ts"

/** A sale as the database has it. */
export interface Sale {
  readonly orderId: OrderId
  readonly paidAt: Date
  readonly refundedAt: Date | undefined
  readonly items: ReadonlyArray<{ readonly sku: string; readonly quantity: number }>
}

/** The sales of these orders, read in the open transaction; an unpaid order has none. */
export const salesOf = (orderIds: ReadonlyArray<OrderId>) =>
  Effect.gen(function* () {
    const rows = yield* tx.rows((q) =>
      q
        .selectFrom("payments")
        .leftJoin("refunds", "refunds.order_id", "payments.order_id")
        .select(["payments.order_id", "payments.created_at", "refunds.created_at as refunded_at"])
        .where("payments.order_id", "in", orderIds.map(bytesOf))
    )
    return rows.length === 0 ? [] : withItems(rows, yield* tx.rows(itemsOf(rows)))
  })

/** A page of the sales between two moments, by order. */
export const salesBetween = (from: Date, to: Date, after: OrderId | undefined, limit: number) =>
  Effect.gen(function* () {
    const rows = yield* db.rows((q) => {
      const query = q
        .selectFrom("payments")
        .leftJoin("refunds", "refunds.order_id", "payments.order_id")
        .select(["payments.order_id", "payments.created_at", "refunds.created_at as refunded_at"])
        .where("payments.created_at", ">=", from)
        .where("payments.created_at", "<", to)
        .orderBy("payments.order_id")
        .limit(limit)
      return after === undefined ? query : query.where("payments.order_id", ">", bytesOf(after))
    })
    return rows.length === 0 ? [] : withItems(rows, yield* db.rows(itemsOf(rows)))
  })

interface SaleRow {
  readonly order_id: Buffer
  readonly created_at: Date
  readonly refunded_at: Date | null
}

interface ItemRow {
  readonly order_id: Buffer
  readonly sku: string
  readonly quantity: number
}

const itemsOf = (rows: ReadonlyArray<SaleRow>) => (q: Kysely<DB>) =>
  q
    .selectFrom("order_items")
    .select(["order_id", "sku", "quantity"])
    .where(
      "order_id",
      "in",
      rows.map((row) => row.order_id)
    )

const withItems = (rows: ReadonlyArray<SaleRow>, items: ReadonlyArray<ItemRow>): ReadonlyArray<Sale> => {
  const itemsOfOrder = Map.groupBy(items, (item) => textOf(item.order_id))
  return rows.map((row): Sale => ({
    orderId: orderIdOf(row.order_id),
    paidAt: row.created_at,
    refundedAt: row.refunded_at ?? undefined,
    items: itemsOfOrder.get(textOf(row.order_id)) ?? []
  }))
}

/** Units sold of a product. */
export interface Sold {
  readonly sku: Sku
  readonly units: number
}

/** The ranking from the database: slower than Redis, and always right. */
export const soldSince = (from: Date, limit: number) =>
  db
    .rows(
      () => sql<{ sku: string; units: number }>`
      select i.sku, cast(least(sum(i.quantity), ${Number.MAX_SAFE_INTEGER}) as signed) as units
      from payments p join order_items i on i.order_id = p.order_id
        left join refunds r on r.order_id = p.order_id
      where p.created_at >= ${from} and r.order_id is null
      group by i.sku order by units desc, i.sku limit ${limit}`
    )
    .pipe(
      Effect.map((rows): ReadonlyArray<Sold> => rows.map(({ sku, units }) => ({ sku: Sku.make(sku), units })))
    )
