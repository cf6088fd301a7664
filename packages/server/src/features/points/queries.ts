import type { OrderId, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { read } from "../../db/Database.ts"
import { bytesOf } from "../../db/ids.ts"
import { write } from "../../db/transaction.ts"

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
 * One guarded UPDATE, so two at once can never both take the last point. Whether a row changed is the answer.
 */
export const moveBalance = (userId: UserId, delta: number, maximum: number) =>
  write((tx, options) =>
    tx
      .updateTable("point_accounts")
      .set({ balance: sql<number>`balance + ${delta}` })
      .where("user_id", "=", bytesOf(userId))
      .where(sql<boolean>`balance + ${delta} between 0 and ${maximum}`)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))

/** The balance as this transaction sees it: after its own UPDATE nobody else can change it before the commit. */
export const balanceInTransaction = (userId: UserId) =>
  write((tx, options) =>
    tx
      .selectFrom("point_accounts")
      .select("balance")
      .where("user_id", "=", bytesOf(userId))
      .forUpdate()
      .executeTakeFirst(options)
  ).pipe(Effect.map((row) => row?.balance))

export interface PointMovement {
  readonly userId: UserId
  readonly delta: number
  readonly balanceAfter: number
  readonly kind: "grant" | "payment"
  readonly orderId?: OrderId
  readonly reason?: string
}

export const insertPointMovement = (movement: PointMovement) =>
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
