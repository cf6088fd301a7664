import { AmountMinor, type Order, type OrderId, type OrderStatus, Sku, type UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { read } from "../../db/Database.ts"
import { bytesOf, orderIdOf, textOf, userIdOf } from "../../db/ids.ts"
import { write } from "../../db/transaction.ts"

const orderColumns = ["id", "user_id", "status", "total_minor", "created_at", "expires_at"] as const

interface OrderRow {
  readonly id: Buffer
  readonly user_id: Buffer
  readonly status: OrderStatus
  readonly total_minor: number
  readonly created_at: Date
  readonly expires_at: Date
}

const orderOf = (row: OrderRow, items: Order["items"]): Order => ({
  id: orderIdOf(row.id),
  userId: userIdOf(row.user_id),
  status: row.status,
  items,
  totalMinor: AmountMinor.make(row.total_minor),
  createdAt: row.created_at,
  expiresAt: row.expires_at
})

export const insertOrder = (order: Order) =>
  write((tx, options) =>
    tx
      .insertInto("orders")
      .values({
        id: bytesOf(order.id),
        user_id: bytesOf(order.userId),
        status: order.status,
        total_minor: order.totalMinor,
        created_at: order.createdAt,
        expires_at: order.expiresAt
      })
      .execute(options)
  )

export const insertOrderItems = (order: Order) =>
  write((tx, options) =>
    tx
      .insertInto("order_items")
      .values(
        order.items.map((item) => ({
          order_id: bytesOf(order.id),
          sku: item.sku,
          quantity: item.quantity,
          unit_price_minor: item.unitPriceMinor
        }))
      )
      .execute(options)
  )

/** One order of this user: another user's order is not found, however right its id is. */
export const findOrder = (userId: UserId, orderId: OrderId) =>
  Effect.gen(function* () {
    const row = yield* read((db, options) =>
      db
        .selectFrom("orders")
        .select(orderColumns)
        .where("id", "=", bytesOf(orderId))
        .where("user_id", "=", bytesOf(userId))
        .executeTakeFirst(options)
    )
    if (row === undefined) return undefined
    const items = yield* itemsOf([row.id])
    return orderOf(row, items.get(orderId) ?? [])
  })

/** The user's orders before `before`, the newest first: ids are UUIDv7, so their order is the order of time. */
export const listOrders = (userId: UserId, before: OrderId | undefined, limit: number) =>
  Effect.gen(function* () {
    const rows = yield* read((db, options) =>
      db
        .selectFrom("orders")
        .select(orderColumns)
        .where("user_id", "=", bytesOf(userId))
        .$if(before !== undefined, (query) => query.where("id", "<", bytesOf(before as OrderId)))
        .orderBy("id", "desc")
        .limit(limit)
        .execute(options)
    )
    const items = yield* itemsOf(rows.map((row) => row.id))
    return rows.map((row) => orderOf(row, items.get(textOf(row.id)) ?? []))
  })

/** The items of several orders in one statement, by the text of the order's id. */
const itemsOf = Effect.fnUntraced(function* (orderIds: ReadonlyArray<Buffer>) {
  const items = new Map<string, Array<Order["items"][number]>>()
  if (orderIds.length === 0) return items
  const rows = yield* read((db, options) =>
    db
      .selectFrom("order_items")
      .select(["order_id", "sku", "quantity", "unit_price_minor"])
      .where("order_id", "in", orderIds)
      .orderBy("order_id")
      .orderBy("sku")
      .execute(options)
  )
  for (const row of rows) {
    const item = {
      sku: Sku.make(row.sku),
      quantity: row.quantity,
      unitPriceMinor: AmountMinor.make(row.unit_price_minor)
    }
    const orderId = textOf(row.order_id)
    const known = items.get(orderId)
    if (known === undefined) items.set(orderId, [item])
    else known.push(item)
  }
  return items
})

/** Locks one order of this user until the transaction ends. */
export const lockOrder = (userId: UserId, orderId: OrderId) =>
  write((tx, options) =>
    tx
      .selectFrom("orders")
      .select(["status", "total_minor", "expires_at"])
      .where("id", "=", bytesOf(orderId))
      .where("user_id", "=", bytesOf(userId))
      .forUpdate()
      .executeTakeFirst(options)
  )

/** One step of the order's states, guarded by the state that it starts from. */
export const updateStatus = (orderId: OrderId, from: OrderStatus, to: OrderStatus) =>
  write((tx, options) =>
    tx
      .updateTable("orders")
      .set({ status: to })
      .where("id", "=", bytesOf(orderId))
      .where("status", "=", from)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))
