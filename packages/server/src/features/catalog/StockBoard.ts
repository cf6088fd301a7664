import { Sku } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import type { Database } from "../../db/Database.ts"
import type { Board } from "../../watch/board.ts"
import { Watching } from "../../watch/Watching.ts"
import { findStocks, type StockRow } from "./queries.ts"

/** The stocks of products, for those who watch them. The ledger's numbers tell which of two is the later one. */
export class StockBoard extends Context.Service<StockBoard, Board<Sku, StockRow>>()(
  "@holdfast/server/StockBoard"
) {
  static readonly layer: Layer.Layer<StockBoard, never, Watching | Database> = Layer.effect(
    StockBoard,
    Watching.use((watching) =>
      watching.board({
        kind: "stock",
        read: (skus: ReadonlyArray<Sku>) =>
          Effect.map(findStocks(skus), (rows) => new Map(rows.map((row) => [Sku.make(row.sku), row]))),
        versionOf: ({ movement }) => movement
      })
    )
  )
}
