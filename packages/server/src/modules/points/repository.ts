import {
  type OrderId,
  type PointMovement,
  type PointMovementKind,
  Points,
  type UserId
} from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { read } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf } from "../../platform/db/ids.ts"
import { write } from "../../platform/db/transaction.ts"

export const readBalance = (userId: UserId) =>
  read((db, options) =>
    db
      .selectFrom("point_accounts")
      .select("balance")
      .where("user_id", "=", bytesOf(userId))
      .executeTakeFirst(options)
  )

/**
 * Adds points while the balance stays within `maximum`; takes them (`delta` below 0) while it stays at 0 or above.
 * One guarded UPDATE, so two at once can never both take the last point. Returns the new balance, which the server
 * hands back with the statement's own answer; `undefined` when nothing was moved.
 */
export const moveBalance = (userId: UserId, delta: number, maximum: number) =>
  write((tx, options) =>
    sql`update point_accounts set balance = last_insert_id(balance + ${delta})
      where user_id = ${bytesOf(userId)} and balance + ${delta} between 0 and ${maximum}`.execute(tx, options)
  ).pipe(
    Effect.map(({ insertId, numAffectedRows }) =>
      numAffectedRows === 1n ? Number(insertId ?? 0n) : undefined
    )
  )

/** The balance, locked: nobody else can change it before the commit. */
export const lockBalance = (userId: UserId) =>
  write((tx, options) =>
    tx
      .selectFrom("point_accounts")
      .select("balance")
      .where("user_id", "=", bytesOf(userId))
      .forUpdate()
      .executeTakeFirst(options)
  ).pipe(Effect.map((row) => row?.balance))

export interface NewPointMovement {
  readonly userId: UserId
  readonly delta: number
  readonly balanceAfter: number
  readonly kind: PointMovementKind
  readonly orderId?: OrderId
  readonly reason?: string
}

export const insertPointMovement = (movement: NewPointMovement) =>
  write((tx, options) =>
    tx
      .insertInto("point_ledger")
      .values({
        user_id: bytesOf(movement.userId),
        delta: movement.delta,
        balance_after: movement.balanceAfter,
        kind: movement.kind,
        order_id: movement.orderId === undefined ? null : bytesOf(movement.orderId),
        reason: movement.reason ?? null
      })
      .execute(options)
  )

/** How often an account was charged today and in this month (UTC), by the database's clock, which all servers share. */
export const countCharges = (userId: UserId) =>
  write((tx, options) =>
    sql<{ now: Date; today: number; this_month: number }>`
      select utc_timestamp(3) as now, cast(coalesce(sum(created_at >= utc_date()), 0) as signed) as today,
        count(*) as this_month
      from point_ledger
      where user_id = ${bytesOf(userId)} and kind = 'charge' and created_at >= date_format(utc_date(), '%Y-%m-01')`.execute(
      tx,
      options
    )
  ).pipe(Effect.map((result) => result.rows[0]!))

/** The account's movements before `before`, the newest first. */
export const listPointMovements = (userId: UserId, before: number | undefined, limit: number) =>
  read((db, options) =>
    db
      .selectFrom("point_ledger")
      .select(["id", "kind", "delta", "balance_after", "order_id", "reason", "created_at"])
      .where("user_id", "=", bytesOf(userId))
      .$if(before !== undefined, (query) => query.where("id", "<", before as number))
      .orderBy("id", "desc")
      .limit(limit)
      .execute(options)
  ).pipe(
    Effect.map((rows) =>
      rows.map((row) => ({
        id: row.id,
        movement: {
          kind: row.kind,
          delta: row.delta,
          balanceAfter: Points.make(row.balance_after),
          ...(row.order_id === null ? {} : { orderId: orderIdOf(row.order_id) }),
          ...(row.reason === null ? {} : { reason: row.reason }),
          createdAt: row.created_at
        } satisfies PointMovement
      }))
    )
  )
