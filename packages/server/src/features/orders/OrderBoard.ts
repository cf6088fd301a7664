import { type OrderId, stageOf } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import type { Database } from "../../db/Database.ts"
import type { Board } from "../../watch/board.ts"
import { Watching } from "../../watch/Watching.ts"
import { findOrderStates, type OwnedState } from "./queries.ts"

/** The states of orders, for those who watch them. */
export class OrderBoard extends Context.Service<OrderBoard, Board<OrderId, OwnedState>>()(
  "@holdfast/server/OrderBoard"
) {
  static readonly layer: Layer.Layer<OrderBoard, never, Watching | Database> = Layer.effect(
    OrderBoard,
    Watching.use((watching) =>
      watching.board({
        kind: "order",
        read: (orderIds: ReadonlyArray<OrderId>) =>
          Effect.map(findOrderStates(orderIds), (found) => new Map(found.map((one) => [one.state.id, one]))),
        versionOf: ({ state }) => stageOf(state.status)
      })
    )
  )
}
