import {
  type OrderId,
  type PointMovement,
  type PointMovementKind,
  Points,
  type UserId
} from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf, userIdOf } from "../../platform/db/ids.ts"
import { readAt, tx } from "../../platform/db/transaction.ts"

export const findBalances = (userIds: ReadonlyArray<UserId>) =>
  db
    .rows((q) =>
      q
        .selectFrom("point_accounts")
        .select(["user_id", "balance"])
        .where("user_id", "in", userIds.map(bytesOf))
    )
    .pipe(Effect.map((rows) => new Map(rows.map((row) => [userIdOf(row.user_id), row.balance]))))

export const insertAccounts = (userIds: ReadonlyArray<UserId>) =>
  tx.affected((q) =>
    q.insertInto("point_accounts").values(userIds.map((userId) => ({ user_id: bytesOf(userId), balance: 0 })))
  )

/** Locked accounts. */
export interface Accounts {
  readonly balances: ReadonlyMap<UserId, number>
  /** What each account has paid and not got back. */
  readonly spent: ReadonlyMap<UserId, number>
}

/**
 * Locks accounts in primary-key order. Users without an account are left out, and with "skip" the accounts that other
 * transactions hold.
 */
export const lockAccounts = (userIds: ReadonlyArray<UserId>, heldRows: "skip" | "wait") =>
  tx
    .timed((q) =>
      q
        .selectFrom("point_accounts")
        .select(["user_id", "balance", "spent", readAt])
        .where("user_id", "in", userIds.map(bytesOf))
        .orderBy("user_id")
        .forUpdate()
        .$if(heldRows === "skip", (query) => query.skipLocked())
    )
    .pipe(
      Effect.map((rows): Accounts => ({
        balances: new Map(rows.map((row) => [userIdOf(row.user_id), row.balance])),
        spent: new Map(rows.map((row) => [userIdOf(row.user_id), row.spent]))
      }))
    )

/** A row of the ledger to be. */
export interface NewPointMovement {
  readonly userId: UserId
  /** What is added, or debited if it is below 0. */
  readonly delta: number
  readonly balanceAfter: number
  readonly kind: PointMovementKind
  readonly orderId?: OrderId
  readonly reason?: string
  /** Who moves the points. Absent for the shop's own jobs. */
  readonly actorId?: UserId | undefined
}

/**
 * Moves balances; guarded so that each stays between 0 and `maximum`. Returns how many accounts were moved.
 * @param spentOfUser the part of the move that is payments and refunds, negated
 */
export const moveBalances = (
  deltaOfUser: ReadonlyMap<UserId, number>,
  maximum: number,
  spentOfUser: ReadonlyMap<UserId, number> = new Map()
) => {
  const ofUser = (points: (userId: UserId) => number) =>
    sql<number>`case user_id ${sql.join(
      [...deltaOfUser.keys()].map((userId) => sql`when ${bytesOf(userId)} then ${points(userId)}`),
      sql` `
    )} end`
  const delta = ofUser((userId) => deltaOfUser.get(userId)!)
  const spent = ofUser((userId) => spentOfUser.get(userId) ?? 0)
  return tx.affected((q) =>
    q
      .updateTable("point_accounts")
      .set({ balance: sql<number>`balance + ${delta}`, spent: sql<number>`spent + ${spent}` })
      .where("user_id", "in", [...deltaOfUser.keys()].map(bytesOf))
      .where(sql<boolean>`balance + ${delta} between 0 and ${maximum}`)
  )
}

export const insertPointMovements = (movements: ReadonlyArray<NewPointMovement>) =>
  tx.affected((q) =>
    q.insertInto("point_ledger").values(
      movements.map(({ actorId, balanceAfter, delta, kind, orderId, reason, userId }) => ({
        user_id: bytesOf(userId),
        delta,
        balance_after: balanceAfter,
        kind,
        order_id: orderId === undefined ? null : bytesOf(orderId),
        reason: reason ?? null,
        actor_id: actorId === undefined ? null : bytesOf(actorId)
      }))
    )
  )

/** How often an account was topped up today and this month (UTC), and the time; by the database's clock. */
export interface TopUpCount {
  readonly today: number
  readonly thisMonth: number
  readonly now: Date
}

export const countTopUps = (userIds: ReadonlyArray<UserId>) =>
  tx
    .rows(
      () => sql<{ user_id: Buffer; now: Date; today: number; this_month: number }>`
        select a.user_id, utc_timestamp(3) as now,
          cast(coalesce(sum(l.created_at >= utc_date()), 0) as signed) as today, count(l.id) as this_month
        from point_accounts a left join point_ledger l
          on l.user_id = a.user_id and l.kind = 'charge' and l.created_at >= date_format(utc_date(), '%Y-%m-01')
        where a.user_id in (${sql.join(userIds.map(bytesOf))}) group by a.user_id`
    )
    .pipe(
      Effect.map(
        (rows) =>
          new Map(
            rows.map(({ now, this_month, today, user_id }): [UserId, TopUpCount] => [
              userIdOf(user_id),
              { now, today, thisMonth: this_month }
            ])
          )
      )
    )

/** The account's movements before `before`, newest first. */
export const listPointMovements = (userId: UserId, before: number | undefined, limit: number) =>
  db
    .rows((q) =>
      q
        .selectFrom("point_ledger")
        .select(["id", "kind", "delta", "balance_after", "order_id", "reason", "created_at"])
        .where("user_id", "=", bytesOf(userId))
        .$if(before !== undefined, (query) => query.where("id", "<", before as number))
        .orderBy("id", "desc")
        .limit(limit)
    )
    .pipe(
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
