import {
  contract,
  type Coupon,
  CouponAlreadyIssued,
  type CouponId,
  CouponNotFound,
  CouponSoldOut,
  ServiceUnavailable,
  type TicketId,
  TicketNotFound,
  type UserCoupon,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect, Stream } from "effect"
import { withIdempotency, refuseOnce } from "../../../platform/idempotency/idempotency.ts"
import { newTicketId, ticketIdOf } from "../../../platform/db/ids.ts"
import { WriteConflict } from "../../../platform/db/sql-errors.ts"
import { inTransaction } from "../../../platform/db/transaction.ts"
import { failpoint } from "../../../platform/failpoints.ts"
import { asEvents } from "../../../platform/trpc/events.ts"
import type { Call } from "../../../platform/trpc/adapter.ts"
import { closedBecause, CouponAdmission } from "../issuing/admission.ts"
import { CouponGate } from "../issuing/gate.ts"
import { lockCoupon } from "../campaigns/repository.ts"
import { issueTo } from "../service.ts"
import { LiveTickets } from "./ticket-live.ts"
import {
  campaignsWaitedFor,
  findTicket,
  firstInLine,
  insertTicket,
  type Refusal,
  settleIssued,
  settleRefused,
  ticketOf,
  waitingTicketOf,
  type WaitingTicket
} from "./repository.ts"
import { couponsOfUsers, findUserCoupon } from "../repository.ts"

/** What callers are told to wait when the line is full. */
const LINE_RETRY_AFTER_MS = 1_000

/** How many tickets one transaction serves, and how many campaigns one round. */
const BATCH = 200
const CAMPAIGNS_A_ROUND = 100

/**
 * Takes a place in the line. A row is all it takes, and no lock that others hold, so it answers at once however many
 * come. Who cannot get a coupon anyway is refused here.
 */
export const requestIssue = Effect.fn("requestIssue")(function* (
  call: Call<typeof contract.coupons.requestIssue>
) {
  const { caller, input, request } = call
  const { couponId } = input
  const mutation = { procedure: contract.coupons.requestIssue, userId: caller.userId, request, input }
  const { current } = yield* CouponAdmission
  const board = yield* LiveTickets
  const coupon = yield* current(couponId)
  if (coupon === undefined) return yield* refuseOnce(mutation, new CouponNotFound({ couponId }))
  const closed = closedBecause(coupon, yield* Clock.currentTimeMillis)
  if (closed !== undefined) {
    const earlier = yield* findUserCoupon(couponId, caller.userId)
    const refusal = earlier === undefined ? closed : new CouponAlreadyIssued({ coupon: earlier })
    return yield* refuseOnce(mutation, refusal)
  }
  if (yield* board.isLineFull(couponId))
    return yield* new ServiceUnavailable({ retryAfterMs: LINE_RETRY_AFTER_MS })
  return yield* withIdempotency(mutation, takePlace(couponId, caller.userId))
})

/** Who is in line already keeps that place. */
const takePlace = Effect.fnUntraced(function* (couponId: CouponId, userId: UserId) {
  const id = newTicketId()
  const requestedAt = new Date(yield* Clock.currentTimeMillis)
  const isNew = yield* insertTicket(id, couponId, userId, requestedAt).pipe(
    Effect.as(true),
    Effect.catchTag("UniqueViolation", () => Effect.succeed(false))
  )
  if (isNew) return { id, couponId, requestedAt, result: { status: "waiting" as const } }
  const earlier = yield* waitingTicketOf(couponId, userId)
  // It was settled in between: the transaction starts over and takes a new place.
  if (earlier === undefined) return yield* new WriteConflict({ errno: 0 })
  return ticketOf(earlier, undefined)
})

export const ticket = Effect.fn("ticket")(function* ({
  caller,
  input
}: Call<typeof contract.coupons.ticket>) {
  return yield* readTicket(caller.userId, input.ticketId)
})

const readTicket = Effect.fnUntraced(function* (userId: UserId, ticketId: TicketId) {
  const row = yield* findTicket(userId, ticketId)
  if (row === undefined) return yield* new TicketNotFound({ ticketId })
  const bare = ticketOf(row, undefined)
  return row.status === "issued" ? ticketOf(row, yield* findUserCoupon(bare.couponId, userId)) : bare
})

/** The ticket as it is, and once more when it is settled. */
export const watchTicket = ({ caller, input, request }: Call<typeof contract.coupons.watchTicket>) =>
  Stream.unwrap(Effect.map(LiveTickets, (board) => board.watch(input.ticketId))).pipe(
    Stream.mapEffect(() => readTicket(caller.userId, input.ticketId)),
    Stream.takeUntil(({ result }) => result.status !== "waiting"),
    asEvents(({ result }) => result.status, request.lastEventId)
  )

/**
 * Serves the lines of all campaigns, each from its front. The lock on the campaign's row keeps several processes, and
 * those who ask for a coupon without a ticket, one after another.
 *
 * @returns how many tickets were settled.
 */
const serveTickets = Effect.gen(function* () {
  const couponIds = yield* campaignsWaitedFor(CAMPAIGNS_A_ROUND)
  const counts = yield* Effect.forEach(couponIds, serveLine)
  return counts.reduce((sum, count) => sum + count, 0)
})

/** An idle line is looked at so often that its first one hardly waits. */
export const ticketServer = { name: "coupon tickets", intervalMs: 50, run: serveTickets }

const serveLine = Effect.fnUntraced(function* (couponId: CouponId) {
  const gate = yield* CouponGate
  const board = yield* LiveTickets
  const served = yield* inTransaction(serveFront(couponId))
  yield* failpoint("tickets: committed")
  if (served.issued.length > 0)
    yield* Effect.ignore(
      gate.confirm(
        couponId,
        served.issued.map(({ userId }) => userId)
      )
    )
  yield* board.announce(served.settled)
  return served.count
})

const serveFront = Effect.fnUntraced(function* (couponId: CouponId) {
  const coupon = yield* lockCoupon(couponId)
  const line = yield* firstInLine(couponId, BATCH)
  if (line.length === 0) return { issued: [], settled: [], count: 0 }
  const now = yield* Clock.currentTimeMillis
  const earlier = yield* couponsOfUsers(
    couponId,
    line.map(({ userId }) => userId)
  )
  const { issue, refuse } = decide(couponId, coupon, line, earlier, now)
  const issued =
    coupon === undefined || issue.length === 0
      ? []
      : yield* issueTo(
          coupon,
          issue.map(({ userId }) => userId),
          now
        )
  if (issue.length > 0) yield* settleIssued(issue, new Date(now))
  yield* Effect.forEach(refuse, ({ refusal, tickets }) => settleRefused(tickets, refusal, new Date(now)))
  yield* failpoint("tickets: settled")
  return { issued, settled: line.map(({ id }) => ticketIdOf(id)), count: line.length }
})

/** Who of the line gets a coupon, and who is told what instead. */
const decide = (
  couponId: CouponId,
  coupon: Coupon | undefined,
  line: ReadonlyArray<WaitingTicket>,
  earlier: ReadonlyMap<UserId, UserCoupon>,
  nowMs: number
) => {
  const refuse: Array<{ readonly refusal: Refusal; readonly tickets: ReadonlyArray<WaitingTicket> }> = []
  const fresh: Array<WaitingTicket> = []
  for (const waiting of line) {
    const has = earlier.get(waiting.userId)
    if (has === undefined) fresh.push(waiting)
    else refuse.push({ refusal: new CouponAlreadyIssued({ coupon: has }), tickets: [waiting] })
  }
  const closed = coupon === undefined ? new CouponNotFound({ couponId }) : closedBecause(coupon, nowMs)
  const left = coupon === undefined || closed !== undefined ? 0 : coupon.quantity - coupon.issued
  const tooLate = fresh.slice(left)
  if (tooLate.length > 0) {
    const refusal = closed ?? new CouponSoldOut({ couponId, quantity: coupon?.quantity ?? 0 })
    refuse.push({ refusal, tickets: tooLate })
  }
  return { issue: fresh.slice(0, left), refuse }
}
