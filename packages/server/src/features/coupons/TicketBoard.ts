import { type CouponId, ServiceUnavailable, type TicketId } from "@holdfast/domain"
import { Context, Deferred, Effect, Layer } from "effect"
import { makeCoalesced } from "../../db/coalesced.ts"
import type { Database } from "../../db/Database.ts"
import { countWaiting, settledAmong } from "./ticketQueries.ts"

/** How long a settled ticket of another process may go unnoticed. */
const LOOK_EVERY_MS = 100

/** Tickets that may wait for one campaign. */
const LONGEST_LINE = 100_000

/** Tickets that are watched in one process; more subscribers are told to come back. */
const MOST_WATCHED = 20_000
const AT_ONCE = 1_000
const RETRY_AFTER_MS = 1_000

/**
 * Tells subscribers of this process when their tickets are settled. One look at the database serves all of them, and
 * while nobody watches there is none.
 */
export class TicketBoard extends Context.Service<
  TicketBoard,
  {
    /** Waits until the ticket is settled. */
    readonly settled: (ticketId: TicketId) => Effect.Effect<void, ServiceUnavailable>
    /** Looks now: this process has just settled some. */
    readonly look: Effect.Effect<void>
    /** Whether as many wait for a campaign as may. */
    readonly isLineFull: (couponId: CouponId) => Effect.Effect<boolean, ServiceUnavailable>
  }
>()("@holdfast/server/TicketBoard") {
  static readonly layer: Layer.Layer<TicketBoard, never, Database> = Layer.effect(
    TicketBoard,
    Effect.gen(function* () {
      const context = yield* Effect.context<Database>()
      const watched = new Map<TicketId, Deferred.Deferred<void>>()
      const look = Effect.provideContext(notifySettled(watched), context)
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(LOOK_EVERY_MS), look)))
      const count = yield* makeCoalesced((couponId: CouponId) => countWaiting(couponId, LONGEST_LINE))
      return {
        look,
        settled: (ticketId) => watch(watched, ticketId),
        isLineFull: (couponId) => Effect.map(count(couponId), (waiting) => waiting >= LONGEST_LINE)
      }
    })
  )
}

type Watched = Map<TicketId, Deferred.Deferred<void>>

/** Several may watch one ticket; it stays watched until it is settled, also when all of them have left. */
const watch = (watched: Watched, ticketId: TicketId): Effect.Effect<void, ServiceUnavailable> =>
  Effect.suspend(() => {
    const known = watched.get(ticketId)
    if (known === undefined && watched.size >= MOST_WATCHED)
      return Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
    const settled = known ?? Deferred.makeUnsafe<void>()
    watched.set(ticketId, settled)
    return Deferred.await(settled)
  })

/** A look that fails is followed by the next one. */
const notifySettled = (watched: Watched) =>
  Effect.suspend(() => {
    const ids = [...watched.keys()]
    const portions = Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, index) =>
      ids.slice(index * AT_ONCE, (index + 1) * AT_ONCE)
    )
    return Effect.forEach(
      portions,
      (portion) => Effect.flatMap(settledAmong(portion), (settled) => notify(watched, settled)),
      {
        discard: true
      }
    )
  }).pipe(Effect.ignore)

const notify = (watched: Watched, settled: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.forEach(
    settled as ReadonlyArray<TicketId>,
    (ticketId) => {
      const waiting = watched.get(ticketId)
      watched.delete(ticketId)
      return waiting === undefined ? Effect.void : Deferred.succeed(waiting, undefined)
    },
    { discard: true }
  )
