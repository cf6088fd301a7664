import { type OrderId, Sku } from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf, textOf } from "../../platform/db/ids.ts"

/** A sale as the database has it. */
export interface Sale {
  readonly orderId: OrderId
  readonly paidAt: Date
  readonly refundedAt: Date | undefined
  readonly items: ReadonlyArray<{ readonly sku: string; readonly quantity: number }>
}

/** The sales of these orders; an unpaid order has none. */
export const salesOf = (orderIds: ReadonlyArray<OrderId>) =>
  Effect.gen(function* () {
    const rows = yield* db.rows((q) =>
      q
        .selectFrom("payments")
        .leftJoin("refunds", "refunds.order_id", "payments.order_id")
        .select(["payments.order_id", "payments.created_at", "refunds.created_at as refunded_at"])
        .where("payments.order_id", "in", orderIds.map(bytesOf))
    )
    return yield* withItems(rows)
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
    return yield* withItems(rows)
  })

interface SaleRow {
  readonly order_id: Buffer
  readonly created_at: Date
  readonly refunded_at: Date | null
}

const withItems = Effect.fnUntraced(function* (rows: ReadonlyArray<SaleRow>) {
  if (rows.length === 0) return []
  const items = yield* db.rows((q) =>
    q
      .selectFrom("order_items")
      .select(["order_id", "sku", "quantity"])
      .where(
        "order_id",
        "in",
        rows.map((row) => row.order_id)
      )
  )
  const itemsOfOrder = Map.groupBy(items, (item) => textOf(item.order_id))
  return rows.map((row): Sale => ({
    orderId: orderIdOf(row.order_id),
    paidAt: row.created_at,
    refundedAt: row.refunded_at ?? undefined,
    items: itemsOfOrder.get(textOf(row.order_id)) ?? []
  }))
})

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
