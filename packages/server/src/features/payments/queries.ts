import { AmountMinor, type OrderId, type Payment, type UserId } from "@holdfast/domain"
import { Effect } from "effect"
import { bytesOf, orderIdOf, paymentIdOf } from "../../db/ids.ts"
import { write } from "../../db/transaction.ts"

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
export const findPayment = (orderId: OrderId) =>
  write((tx, options) =>
    tx
      .selectFrom("payments")
      .select(["id", "order_id", "amount_minor", "created_at"])
      .where("order_id", "=", bytesOf(orderId))
      .executeTakeFirst(options)
  ).pipe(
    Effect.map((row): Payment | undefined =>
      row === undefined
        ? undefined
        : {
            id: paymentIdOf(row.id),
            orderId: orderIdOf(row.order_id),
            amountMinor: AmountMinor.make(row.amount_minor),
            createdAt: row.created_at
          }
    )
  )
