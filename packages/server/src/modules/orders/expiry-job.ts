import { Effect } from "effect"
import type { OrderId } from "@holdfast/domain"
import { bytesOf, orderIdOf } from "../../platform/db/ids.ts"
import { databaseTime, inTransaction } from "../../platform/db/transaction.ts"
import type { Job } from "../../platform/jobs/runner.ts"
import { aside, attemptEach } from "../../platform/jobs/set-aside.ts"
import { lockWhatOrdersHold, makeUndo, ordersUndone, undoOrders } from "./cancel-order.ts"
import { listExpired, lockExpiredOrder } from "./repository.ts"

const JOB = "order expiry"

/** Orders that one run takes on: overdue ones, and those of earlier runs that could not be cancelled. */
const BATCH = 100
const BATCH_AGAIN = 10

/** Orders that are cancelled at once; requests need connections, too. */
const CONCURRENCY = 4

/** An order whose rows another transaction holds for longer waits for a later run. */
const WITHIN_MS = 1_000

/**
 * Cancels orders that were not paid in time. Any number of processes may run it at once: each order is locked in a
 * transaction of its own, and an order that another process, a payment or a cancellation holds is skipped.
 */
export const orderExpiry = {
  name: JOB,
  intervalMs: 2_000,
  run: Effect.gen(function* () {
    const overdue = yield* listExpired(JOB, BATCH)
    const again = (yield* aside.dueAgain(JOB, BATCH_AGAIN)).map(orderIdOf)
    return yield* attemptEach([...overdue, ...again], {
      job: JOB,
      keyOf: bytesOf,
      handle: expireOrder,
      concurrency: CONCURRENCY,
      withinMs: WITHIN_MS
    })
  })
} satisfies Job<unknown>

const expireOrder = (orderId: OrderId) =>
  inTransaction(
    Effect.gen(function* () {
      const order = yield* lockExpiredOrder(orderId)
      if (order === undefined) return undefined
      const held = yield* lockWhatOrdersHold([order])
      const now = yield* databaseTime
      const undone = makeUndo(held, "expired", now)(order)
      yield* undoOrders([undone], "expired", now)
      return undone.output
    })
  ).pipe(
    Effect.tap((order) => (order === undefined ? Effect.void : ordersUndone([order]))),
    Effect.map((order) => (order === undefined ? 0 : 1))
  )
