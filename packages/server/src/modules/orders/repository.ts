import {
  AmountMinor,
  type CancelReason,
  type Order,
  type OrderId,
  type OrderState,
  type OrderStatus,
  Sku,
  type UserId
} from "@holdfast/domain"
import { Effect } from "effect"
import type { Kysely } from "kysely"
import { read } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf, textOf, userCouponIdOf, userIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { write } from "../../platform/db/transaction.ts"

const orderColumns = [
  "id",
  "user_id",
  "status",
  "total_minor",
  "discount_minor",
  "user_coupon_id",
  "created_at",
  "expires_at",
  "cancelled_at",
  "cancel_reason"
] as const

interface OrderRow {
  readonly id: Buffer
  readonly user_id: Buffer
  readonly status: OrderStatus
  readonly total_minor: number
  readonly discount_minor: number
  readonly user_coupon_id: Buffer | null
  readonly created_at: Date
  readonly expires_at: Date
  readonly cancelled_at: Date | null
  readonly cancel_reason: CancelReason | null
}

export const orderOf = (row: OrderRow, items: Order["items"]): Order => ({
  id: orderIdOf(row.id),
  userId: userIdOf(row.user_id),
  status: row.status,
  items,
  totalMinor: AmountMinor.make(row.total_minor),
  discountMinor: AmountMinor.make(row.discount_minor),
  ...(row.user_coupon_id === null ? {} : { userCouponId: userCouponIdOf(row.user_coupon_id) }),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  ...cancellationOf(row)
})

const cancellationOf = (row: Pick<OrderRow, "cancelled_at" | "cancel_reason">) =>
  row.cancelled_at === null || row.cancel_reason === null
    ? {}
    : { cancellation: { at: row.cancelled_at, reason: row.cancel_reason } }

export const insertOrder = (order: Order) =>
  write((tx, options) =>
    tx
      .insertInto("orders")
      .values({
        id: bytesOf(order.id),
        user_id: bytesOf(order.userId),
        status: order.status,
        total_minor: order.totalMinor,
        discount_minor: order.discountMinor,
        user_coupon_id: order.userCouponId === undefined ? null : bytesOf(order.userCouponId),
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

/** Whose order it is, and its state. */
export interface OwnedState {
  readonly userId: UserId
  readonly state: OrderState
}

/** The states of orders, whoever they belong to. */
export const findOrderStates = (orderIds: ReadonlyArray<OrderId>) =>
  read((db, options) =>
    db
      .selectFrom("orders")
      .select(["id", "user_id", "status", "cancelled_at", "cancel_reason"])
      .where("id", "in", orderIds.map(bytesOf))
      .execute(options)
  ).pipe(
    Effect.map((rows) =>
      rows.map((row): OwnedState => ({
        userId: userIdOf(row.user_id),
        state: { id: orderIdOf(row.id), status: row.status, ...cancellationOf(row) }
      }))
    )
  )

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
  const rows = yield* read((db, options) => selectItems(db, orderIds).execute(options))
  for (const row of rows) {
    const item = itemOf(row)
    const orderId = textOf(row.order_id)
    const known = items.get(orderId)
    if (known === undefined) items.set(orderId, [item])
    else known.push(item)
  }
  return items
})

const selectItems = (db: Kysely<DB>, orderIds: ReadonlyArray<Buffer>) =>
  db
    .selectFrom("order_items")
    .select(["order_id", "sku", "quantity", "unit_price_minor"])
    .where("order_id", "in", orderIds)
    .orderBy("order_id")
    .orderBy("sku")

const itemOf = (row: {
  readonly sku: string
  readonly quantity: number
  readonly unit_price_minor: number
}) => ({
  sku: Sku.make(row.sku),
  quantity: row.quantity,
  unitPriceMinor: AmountMinor.make(row.unit_price_minor)
})

/** The items of an order that this transaction has locked, read on its own connection: a second one may not be free. */
export const itemsInTransaction = (orderId: OrderId) =>
  write((tx, options) => selectItems(tx, [bytesOf(orderId)]).execute(options)).pipe(
    Effect.map((rows) => rows.map(itemOf))
  )

/** Locks one order of this user until the transaction ends. */
export const lockOrder = (userId: UserId, orderId: OrderId) =>
  write((tx, options) =>
    tx
      .selectFrom("orders")
      .select(orderColumns)
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

/** Cancels a locked order, guarded by the state that it is in: of several who try, one finds it so. */
export const updateCancelled = (orderId: OrderId, from: OrderStatus, reason: CancelReason, at: Date) =>
  write((tx, options) =>
    tx
      .updateTable("orders")
      .set({ status: "CANCELLED", cancelled_at: at, cancel_reason: reason })
      .where("id", "=", bytesOf(orderId))
      .where("status", "=", from)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))

/** When a locked order was paid. */
export const paidAtOf = (orderId: OrderId) =>
  write((tx, options) =>
    tx
      .selectFrom("payments")
      .select("created_at")
      .where("order_id", "=", bytesOf(orderId))
      .executeTakeFirst(options)
  ).pipe(Effect.map((row) => row?.created_at))

/** One refund an order: the primary key is the last line of that promise. */
export const insertRefund = (order: Order, at: Date) =>
  write((tx, options) =>
    tx
      .insertInto("refunds")
      .values({
        order_id: bytesOf(order.id),
        user_id: bytesOf(order.userId),
        amount_minor: order.totalMinor,
        created_at: at
      })
      .execute(options)
  )

/** Orders that were not paid in time, the longest overdue first. Nothing is locked: see {@link lockExpired}. */
export const listExpired = (now: Date, limit: number) =>
  read((db, options) =>
    db
      .selectFrom("orders")
      .select("id")
      .where("status", "=", "PENDING")
      .where("expires_at", "<=", now)
      .orderBy("expires_at")
      .limit(limit)
      .execute(options)
  ).pipe(Effect.map((rows) => rows.map((row) => orderIdOf(row.id))))

/** Locks an expired order, unless somebody else has it locked or it is not PENDING any more. */
export const lockExpired = (orderId: OrderId, now: Date) =>
  write((tx, options) =>
    tx
      .selectFrom("orders")
      .select(orderColumns)
      .where("id", "=", bytesOf(orderId))
      .where("status", "=", "PENDING")
      .where("expires_at", "<=", now)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst(options)
  )
