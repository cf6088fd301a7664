import type { OrderId } from "@holdfast/domain"
import { Clock, Effect } from "effect"
import { inTransaction } from "../../platform/db/transaction.ts"
import type { Job } from "../../platform/jobs/runner.ts"
import { lockWhatOrdersHold, makeUndo, ordersUndone, undoOrders } from "./cancel-order.ts"
import { listExpired, lockExpiredOrder } from "./repository.ts"

/** Orders that one run takes on. */
const BATCH = 100

/** Orders that are cancelled at once; requests need connections, too. */
const CONCURRENCY = 4

/**
 * Cancels orders that were not paid in time. Any number of processes may run it at once: each order is locked in a
 * transaction of its own, and an order that another process, a payment or a cancellation holds is skipped.
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
      const order = yield* lockExpiredOrder(orderId, now)
      if (order === undefined) return undefined
      const held = yield* lockWhatOrdersHold([order])
      const undone = makeUndo(held, "expired", now)(order)
      yield* undoOrders([undone], "expired", now)
      return undone.output
    })
  ).pipe(
    Effect.tap((order) => (order === undefined ? Effect.void : ordersUndone([order]))),
    Effect.map((order) => order !== undefined),
    // An order that cannot be cancelled must not keep the others from it.
    Effect.catchCause((cause) =>
      Effect.as(Effect.logError("an expired order could not be cancelled", { orderId }, cause), false)
    )
  )
