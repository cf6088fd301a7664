import { AmountMinor, type OrderId, type Payment, type UserId } from "@holdfast/domain"
import { Effect } from "effect"
import type { Kysely } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf, orderIdOf, paymentIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { tx } from "../../platform/db/transaction.ts"

/** A payment, and the user whose points it takes. */
export interface OwnPayment {
  readonly payment: Payment
  readonly userId: UserId
}

const selectPayments = (q: Kysely<DB>, orderIds: ReadonlyArray<OrderId>) =>
  q
    .selectFrom("payments")
    .leftJoin("refunds", "refunds.order_id", "payments.order_id")
    .select([
      "payments.id",
      "payments.order_id",
      "payments.amount_minor",
      "payments.created_at",
      "refunds.created_at as refunded_at"
    ])
    .where("payments.order_id", "in", orderIds.map(bytesOf))

type PaymentRow = Awaited<ReturnType<ReturnType<typeof selectPayments>["executeTakeFirstOrThrow"]>>

const paymentOf = (row: PaymentRow): Payment => ({
  id: paymentIdOf(row.id),
  orderId: orderIdOf(row.order_id),
  amountMinor: AmountMinor.make(row.amount_minor),
  createdAt: row.created_at,
  ...(row.refunded_at === null ? {} : { refundedAt: row.refunded_at })
})

/** One payment an order: the unique key refuses a second one. */
export const insertPayments = (payments: ReadonlyArray<OwnPayment>) =>
  tx.affected((q) =>
    q.insertInto("payments").values(
      payments.map(({ payment, userId }) => ({
        id: bytesOf(payment.id),
        order_id: bytesOf(payment.orderId),
        user_id: bytesOf(userId),
        amount_minor: payment.amountMinor,
        created_at: payment.createdAt
      }))
    )
  )

/** The payments of locked orders, so none is on its way. */
export const paymentsOfOrders = Effect.fnUntraced(function* (orderIds: ReadonlyArray<OrderId>) {
  if (orderIds.length === 0) return new Map<OrderId, Payment>()
  const rows = yield* tx.rows((q) => selectPayments(q, orderIds))
  return new Map(rows.map((row) => [orderIdOf(row.order_id), paymentOf(row)] as const))
})

/** The payment of one of this user's orders. */
export const findPayment = (userId: UserId, orderId: OrderId) =>
  db
    .first((q) => selectPayments(q, [orderId]).where("payments.user_id", "=", bytesOf(userId)))
    .pipe(Effect.map((row) => (row === undefined ? undefined : paymentOf(row))))
