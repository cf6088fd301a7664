import { OrderId } from "@holdfast/domain"
import { Effect } from "effect"
import { invalidate } from "../../platform/cache/cache.ts"
import { askRedis } from "@holdfast/locks"
import { consumerOf } from "../../platform/outbox/consumer.ts"
import type { OutboxEvent } from "../../platform/outbox/outbox.ts"
import { salesOf } from "./repository.ts"
import { count, dayOf, type Happening, RANKING_TAG, rankingPrefix } from "./ranking-store.ts"

const HAPPENINGS: Readonly<Record<string, Happening>> = { "order.paid": "paid", "order.refunded": "refunded" }

/**
 * Counts sales as they happen. An event names its order; what was sold, and when, is read from the database. A repeated
 * event counts the same happening again, which changes nothing.
 */
const project = Effect.fnUntraced(function* (events: ReadonlyArray<OutboxEvent>) {
  const name = yield* rankingPrefix
  const orderIds = [...new Set(events.map((event) => OrderId.make(String(event.payload["orderId"]))))]
  const sales = new Map((yield* salesOf(orderIds)).map((sale) => [String(sale.orderId), sale] as const))
  yield* askRedis((client) =>
    Promise.all(
      events.map(async ({ payload, topic }) => {
        const sale = sales.get(String(payload["orderId"]))
        const happening = HAPPENINGS[topic]
        if (sale !== undefined && happening !== undefined)
          await count(client, name, dayOf(sale.paidAt), sale, happening)
      })
    )
  )
  yield* invalidate([RANKING_TAG])
})

export const rankingProjector = consumerOf({
  group: "ranking",
  topics: Object.keys(HAPPENINGS),
  handle: project
})
