import type { OrderId } from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { inTransaction } from "../../platform/db/transaction.ts"
import type { Job } from "../../platform/jobs/runner.ts"
import { orderUndone, undoOrder } from "./cancel.ts"
import { itemsInTransaction, listExpired, lockExpired, orderOf } from "./repository.ts"

/** Orders that one round takes on. */
const BATCH = 100

/** How many of them are cancelled at once; requests need connections, too. */
const CONCURRENCY = 4

/**
 * Cancels the orders that were not paid in time. Any number of processes may do this at once: each order is locked in
 * a transaction of its own, and what another process, a payment or a cancellation holds at that moment is skipped.
 */
export const orderExpiry = {
  name: "order expiry",
  intervalMs: 500,
  run: Effect.gen(function* () {
    const now = new Date(yield* Clock.currentTimeMillis)
    const overdue = yield* listExpired(now, BATCH)
    const cancelled = yield* Effect.forEach(overdue, (orderId) => expireOrder(orderId, now), {
      concurrency: CONCURRENCY
    })
    return cancelled.filter(Boolean).length
  })
} satisfies Job<unknown>

const expireOrder = (orderId: OrderId, now: Date) =>
  inTransaction(
    Effect.gen(function* () {
      const row = yield* lockExpired(orderId, now)
      if (row === undefined) return undefined
      return yield* undoOrder(orderOf(row, yield* itemsInTransaction(orderId)), "expired")
    })
  ).pipe(
    Effect.tap((order) => (order === undefined ? Effect.void : orderUndone(order))),
    Effect.map((order) => order !== undefined),
    // One order that cannot be cancelled must not keep the others from it.
    Effect.catchCause((cause) =>
      Effect.as(Effect.logError("an expired order could not be cancelled", { orderId }, cause), false)
    )
  )
