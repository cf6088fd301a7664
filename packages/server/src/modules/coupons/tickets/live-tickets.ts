import type { CouponId, ServiceUnavailable, TicketId } from "@holdfast/domain"
import { Context, Effect, Layer } from "effect"
import { makeCoalesced } from "../../../platform/db/coalesce.ts"
import type { Database } from "../../../platform/db/database.ts"
import type { LiveQuery } from "../../../platform/live/live-query.ts"
import { LiveQueries } from "../../../platform/live/live-queries.ts"
import { countWaiting, type TicketRow, ticketStatuses } from "./repository.ts"

/** Tickets that may wait for one campaign. */
const LONGEST_QUEUE = 100_000

/** The statuses of tickets, for their subscribers, and how many tickets wait. */
export class LiveTickets extends Context.Service<
  LiveTickets,
  LiveQuery<TicketId, TicketRow["status"]> & {
    /** Whether as many tickets wait for a campaign as may. */
    readonly isQueueFull: (couponId: CouponId) => Effect.Effect<boolean, ServiceUnavailable>
  }
>()("@holdfast/server/LiveTickets") {
  static readonly layer: Layer.Layer<LiveTickets, never, LiveQueries | Database> = Layer.effect(
    LiveTickets,
    Effect.gen(function* () {
      const liveQueries = yield* LiveQueries
      const tickets = yield* liveQueries.make({
        kind: "ticket",
        read: ticketStatuses,
        versionOf: (status) => (status === "waiting" ? 0 : 1)
      })
      const count = yield* makeCoalesced((couponId: CouponId) => countWaiting(couponId, LONGEST_QUEUE))
      return {
        ...tickets,
        isQueueFull: (couponId) => Effect.map(count(couponId), (waiting) => waiting >= LONGEST_QUEUE)
      }
    })
  )
}
