import { type OrderId, stageOf } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import type { Database } from "../../platform/db/database.ts"
import type { LiveQuery } from "../../platform/live/live-query.ts"
import { LiveQueries } from "../../platform/live/live-queries.ts"
import { findOrderStates, type OwnedState } from "./repository.ts"

/** The states of orders, for their subscribers. */
export class LiveOrders extends Context.Service<LiveOrders, LiveQuery<OrderId, OwnedState>>()(
  "@holdfast/server/LiveOrders"
) {
  static readonly layer: Layer.Layer<LiveOrders, never, LiveQueries | Database> = Layer.effect(
    LiveOrders,
    LiveQueries.use((liveQueries) =>
      liveQueries.make({
        kind: "order",
        read: (orderIds: ReadonlyArray<OrderId>) =>
          Effect.map(findOrderStates(orderIds), (found) => new Map(found.map((one) => [one.state.id, one]))),
        versionOf: ({ state }) => stageOf(state.status)
      })
    )
  )
}
