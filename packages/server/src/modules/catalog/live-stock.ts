import { Sku } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import type { Database } from "../../platform/db/database.ts"
import type { LiveQuery } from "../../platform/live/live-query.ts"
import { LiveQueries } from "../../platform/live/live-queries.ts"
import { findStocks, type StockRow } from "./repository.ts"

/** The stocks of products, for their subscribers. The number of the last movement orders two states. */
export class LiveStock extends Context.Service<LiveStock, LiveQuery<Sku, StockRow>>()(
  "@holdfast/server/LiveStock"
) {
  static readonly layer: Layer.Layer<LiveStock, never, LiveQueries | Database> = Layer.effect(
    LiveStock,
    LiveQueries.use((liveQueries) =>
      liveQueries.make({
        kind: "stock",
        read: (skus: ReadonlyArray<Sku>) =>
          Effect.map(findStocks(skus), (rows) => new Map(rows.map((row) => [Sku.make(row.sku), row]))),
        versionOf: ({ movement }) => movement
      })
    )
  )
}
