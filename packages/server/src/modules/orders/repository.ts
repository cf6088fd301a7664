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
import { type Kysely, type Selectable, sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf, textOf, userCouponIdOf, userIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { isNotSetAside } from "../../platform/jobs/set-aside.ts"
import { readAt, tx } from "../../platform/db/transaction.ts"

/** An order by its id, and the user that it must belong to. */
export interface OwnOrderId {
  readonly userId: UserId
  readonly orderId: OrderId
}

type OrderRow = Selectable<DB["orders"]>
type Cancellation = Pick<OrderRow, "cancelled_at" | "cancel_reason">

const orderOf = (row: OrderRow, items: Order["items"]): Order => ({
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

const cancellationOf = (row: Cancellation) =>
  row.cancelled_at === null || row.cancel_reason === null
    ? {}
    : { cancellation: { at: row.cancelled_at, reason: row.cancel_reason } }

const selectItems = (q: Kysely<DB>, orderIds: ReadonlyArray<Buffer>) =>
  q.selectFrom("order_items").selectAll().where("order_id", "in", orderIds).orderBy("order_id").orderBy("sku")

/** Joins orders with their items, in the order of the rows. */
const withItems = (rows: ReadonlyArray<OrderRow>, items: ReadonlyArray<Selectable<DB["order_items"]>>) => {
  const itemsOfOrder = Map.groupBy(items, (item) => textOf(item.order_id))
  return rows.map((row) =>
    orderOf(
      row,
      (itemsOfOrder.get(textOf(row.id)) ?? []).map((item) => ({
        sku: Sku.make(item.sku),
        quantity: item.quantity,
        unitPriceMinor: AmountMinor.make(item.unit_price_minor)
      }))
    )
  )
}

const readItems = Effect.fnUntraced(function* (rows: ReadonlyArray<OrderRow>) {
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  return withItems(rows, yield* db.rows((q) => selectItems(q, ids)))
})

const readItemsInTransaction = Effect.fnUntraced(function* (rows: ReadonlyArray<OrderRow>) {
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  return withItems(rows, yield* tx.rows((q) => selectItems(q, ids)))
})

export const insertOrders = Effect.fnUntraced(function* (orders: ReadonlyArray<Order>) {
  yield* tx.affected((q) =>
    q.insertInto("orders").values(
      orders.map((order) => ({
        id: bytesOf(order.id),
        user_id: bytesOf(order.userId),
        status: order.status,
        total_minor: order.totalMinor,
        discount_minor: order.discountMinor,
        units: unitsOf(order.items),
        user_coupon_id: order.userCouponId === undefined ? null : bytesOf(order.userCouponId),
        created_at: order.createdAt,
        expires_at: order.expiresAt
      }))
    )
  )
  yield* tx.affected((q) =>
    q.insertInto("order_items").values(
      orders.flatMap(({ id, items }) =>
        items.map(({ quantity, sku, unitPriceMinor }) => ({
          order_id: bytesOf(id),
          sku,
          quantity,
          unit_price_minor: unitPriceMinor
        }))
      )
    )
  )
})

/** The units of an order's lines or items. */
export const unitsOf = (lines: ReadonlyArray<{ readonly quantity: number }>): number =>
  lines.reduce((units, { quantity }) => units + quantity, 0)

/** What a user has ordered and not paid. */
export interface Unpaid {
  readonly orders: number
  readonly units: number
}

/** What these users have ordered and not paid; users who have paid for everything are left out. Locks nothing. */
export const unpaidOfUsers = (userIds: ReadonlyArray<UserId>) =>
  tx
    .rows(
      () => sql<Unpaid & { readonly user_id: Buffer }>`
        select user_id, count(*) as orders, cast(sum(units) as signed) as units
        from orders force index (orders_unpaid)
        where user_id in (${sql.join(userIds.map(bytesOf))}) and status = 'PENDING' group by user_id`
    )
    .pipe(
      Effect.map(
        (rows) => new Map(rows.map(({ orders, units, user_id: id }) => [userIdOf(id), { orders, units }]))
      )
    )

/** One of this user's orders, or `undefined`: another user's order is not found. */
export const findOrder = (userId: UserId, orderId: OrderId) =>
  db
    .rows((q) =>
      q
        .selectFrom("orders")
        .selectAll()
        .where("id", "=", bytesOf(orderId))
        .where("user_id", "=", bytesOf(userId))
    )
    .pipe(
      Effect.flatMap(readItems),
      Effect.map(([order]) => order)
    )

/** The user's orders before `before`, newest first: ids are UUIDv7, so they sort by time. */
export const listOrders = (userId: UserId, before: OrderId | undefined, limit: number) =>
  db
    .rows((q) =>
      q
        .selectFrom("orders")
        .selectAll()
        .where("user_id", "=", bytesOf(userId))
        .$if(before !== undefined, (query) => query.where("id", "<", bytesOf(before as OrderId)))
        .orderBy("id", "desc")
        .limit(limit)
    )
    .pipe(Effect.flatMap(readItems))

/** The state of an order, and the user it belongs to. */
export interface OwnedState {
  readonly userId: UserId
  readonly state: OrderState
}

/** The states of these orders, whichever user they belong to. */
export const findOrderStates = (orderIds: ReadonlyArray<OrderId>) =>
  db
    .rows((q) =>
      q
        .selectFrom("orders")
        .select(["id", "user_id", "status", "cancelled_at", "cancel_reason"])
        .where("id", "in", orderIds.map(bytesOf))
    )
    .pipe(
      Effect.map((rows) =>
        rows.map((row): OwnedState => ({
          userId: userIdOf(row.user_id),
          state: { id: orderIdOf(row.id), status: row.status, ...cancellationOf(row) }
        }))
      )
    )

const selectOwn = (q: Kysely<DB>, orders: ReadonlyArray<OwnOrderId>) =>
  q
    .selectFrom("orders")
    .where((eb) =>
      eb.or(orders.map(({ orderId, userId }) => eb.and({ id: bytesOf(orderId), user_id: bytesOf(userId) })))
    )

/** Locks orders of their users, in primary-key order, and reads their items. */
export const lockOrdersWithItems = (orders: ReadonlyArray<OwnOrderId>) =>
  tx
    .timed((q) => selectOwn(q, orders).selectAll().select(readAt).orderBy("id").forUpdate())
    .pipe(Effect.flatMap(readItemsInTransaction))

/**
 * Locks orders of their users, in primary-key order; the orders come without their items. With "skip", orders that other
 * transactions hold are left out.
 */
export const lockOrdersWithoutItems = (orders: ReadonlyArray<OwnOrderId>, heldRows: "skip" | "wait") =>
  tx
    .timed((q) =>
      selectOwn(q, orders)
        .selectAll()
        .select(readAt)
        .orderBy("id")
        .forUpdate()
        .$if(heldRows === "skip", (query) => query.skipLocked())
    )
    .pipe(Effect.map((rows) => rows.map((row) => orderOf(row, []))))

/** Which of these orders exist and belong to their users. Locks nothing. */
export const existingOrders = (orders: ReadonlyArray<OwnOrderId>) =>
  tx
    .rows((q) => selectOwn(q, orders).select("id"))
    .pipe(Effect.map((rows) => rows.map(({ id }) => orderIdOf(id))))

/** Locks an expired PENDING order; `undefined` when it is not one any more, or another transaction holds it. */
export const lockExpiredOrder = (orderId: OrderId) =>
  tx
    .timed((q) =>
      q
        .selectFrom("orders")
        .selectAll()
        .select(readAt)
        .where("id", "=", bytesOf(orderId))
        .where("status", "=", "PENDING")
        .where("expires_at", "<=", sql<Date>`utc_timestamp(3)`)
        .forUpdate()
        .skipLocked()
    )
    .pipe(
      Effect.flatMap(readItemsInTransaction),
      Effect.map(([order]) => order)
    )

/** Orders that were not paid in time and that the job has not set aside, the longest overdue first. Locks nothing. */
export const listExpired = (job: string, limit: number) =>
  db
    .rows((q) =>
      q
        .selectFrom("orders")
        .select("id")
        .where("status", "=", "PENDING")
        .where("expires_at", "<=", sql<Date>`utc_timestamp(3)`)
        .where(isNotSetAside(job, "orders.id"))
        .orderBy("expires_at")
        .limit(limit)
    )
    .pipe(Effect.map((rows) => rows.map((row) => orderIdOf(row.id))))

/** Guarded by the status that the step starts from. Returns how many orders took it. */
export const updateStatus = (orderIds: ReadonlyArray<OrderId>, from: OrderStatus, to: OrderStatus) =>
  tx.affected((q) =>
    q
      .updateTable("orders")
      .set({ status: to })
      .where("id", "in", orderIds.map(bytesOf))
      .where("status", "=", from)
  )

/** Guarded by the status each order was locked with. Returns how many orders were cancelled. */
export const updateCancelled = (
  orders: ReadonlyArray<Pick<Order, "id" | "status">>,
  reason: CancelReason,
  at: Date
) =>
  tx.affected((q) =>
    q
      .updateTable("orders")
      .set({ status: "CANCELLED", cancelled_at: at, cancel_reason: reason })
      .where((eb) => eb.or(orders.map(({ id, status }) => eb.and({ id: bytesOf(id), status }))))
  )

/** When these orders were paid; locked orders, so no payment is on its way. */
export const paidAtOfOrders = Effect.fnUntraced(function* (orderIds: ReadonlyArray<OrderId>) {
  if (orderIds.length === 0) return new Map<OrderId, Date>()
  const rows = yield* tx.rows((q) =>
    q.selectFrom("payments").select(["order_id", "created_at"]).where("order_id", "in", orderIds.map(bytesOf))
  )
  return new Map(rows.map((row) => [orderIdOf(row.order_id), row.created_at] as const))
})

/** One refund an order: the primary key refuses a second one. */
export const insertRefunds = (orders: ReadonlyArray<Order>, at: Date) =>
  tx.affected((q) =>
    q.insertInto("refunds").values(
      orders.map((order) => ({
        order_id: bytesOf(order.id),
        user_id: bytesOf(order.userId),
        amount_minor: order.totalMinor,
        created_at: at
      }))
    )
  )
