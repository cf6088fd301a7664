import { AmountMinor, type OrderId, type Payment, type UserId } from "@holdfast/domain"
import { Effect } from "effect"
import type { Kysely } from "kysely"
import { read } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf, paymentIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { write } from "../../platform/db/transaction.ts"

/** One payment an order: the unique key is the last line of that promise. */
export const insertPayment = (payment: Payment, userId: UserId) =>
  write((tx, options) =>
    tx
      .insertInto("payments")
      .values({
        id: bytesOf(payment.id),
        order_id: bytesOf(payment.orderId),
        user_id: bytesOf(userId),
        amount_minor: payment.amountMinor,
        created_at: payment.createdAt
      })
      .execute(options)
  )

/** The order's one payment. The order is locked by now, so the payment cannot be on its way. */
export const paymentInTransaction = (orderId: OrderId) =>
  write((tx, options) => selectPayment(tx, orderId).executeTakeFirst(options)).pipe(Effect.map(paymentOf))

/** The payment of one of this user's orders. */
export const findPayment = (userId: UserId, orderId: OrderId) =>
  read((db, options) =>
    selectPayment(db, orderId).where("payments.user_id", "=", bytesOf(userId)).executeTakeFirst(options)
  ).pipe(Effect.map(paymentOf))

const selectPayment = (db: Kysely<DB>, orderId: OrderId) =>
  db
    .selectFrom("payments")
    .leftJoin("refunds", "refunds.order_id", "payments.order_id")
    .select([
      "payments.id",
      "payments.order_id",
      "payments.amount_minor",
      "payments.created_at",
      "refunds.created_at as refunded_at"
    ])
    .where("payments.order_id", "=", bytesOf(orderId))

interface PaymentRow {
  readonly id: Buffer
  readonly order_id: Buffer
  readonly amount_minor: number
  readonly created_at: Date
  readonly refunded_at: Date | null
}

const paymentOf = (row: PaymentRow | undefined): Payment | undefined =>
  row === undefined
    ? undefined
    : {
        id: paymentIdOf(row.id),
        orderId: orderIdOf(row.order_id),
        amountMinor: AmountMinor.make(row.amount_minor),
        createdAt: row.created_at,
        ...(row.refunded_at === null ? {} : { refundedAt: row.refunded_at })
      }
