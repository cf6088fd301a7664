import type { CouponId, ServiceUnavailable, TicketId } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { makeCoalesced } from "../../db/coalesced.ts"
import type { Database } from "../../db/Database.ts"
import type { Board } from "../../watch/board.ts"
import { Watching } from "../../watch/Watching.ts"
import { countWaiting, type TicketRow, ticketStatuses } from "./ticketQueries.ts"

/** Tickets that may wait for one campaign. */
const LONGEST_LINE = 100_000

/** What becomes of tickets, for those who watch them, and how many wait. */
export class TicketBoard extends Context.Service<
  TicketBoard,
  Board<TicketId, TicketRow["status"]> & {
    /** Whether as many wait for a campaign as may. */
    readonly isLineFull: (couponId: CouponId) => Effect.Effect<boolean, ServiceUnavailable>
  }
>()("@holdfast/server/TicketBoard") {
  static readonly layer: Layer.Layer<TicketBoard, never, Watching | Database> = Layer.effect(
    TicketBoard,
    Effect.gen(function* () {
      const { board } = yield* Watching
      const tickets = yield* board({
        kind: "ticket",
        read: ticketStatuses,
        versionOf: (status) => (status === "waiting" ? 0 : 1)
      })
      const count = yield* makeCoalesced((couponId: CouponId) => countWaiting(couponId, LONGEST_LINE))
      return {
        ...tickets,
        isLineFull: (couponId) => Effect.map(count(couponId), (waiting) => waiting >= LONGEST_LINE)
      }
    })
  )
}
