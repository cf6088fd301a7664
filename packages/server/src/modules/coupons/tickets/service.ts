import {
  contract,
  CouponAlreadyIssued,
  type CouponId,
  CouponNotFound,
  type CouponTicket,
  ServiceUnavailable,
  type TicketId,
  TicketNotFound,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect, Result, Stream } from "effect"
import { type Admission, command } from "../../../platform/command/command.ts"
import type { Database } from "../../../platform/db/database.ts"
import { newTicketId, newUserCouponId, textOf, ticketIdOf } from "../../../platform/db/ids.ts"
import { inTransaction } from "../../../platform/db/transaction.ts"
import { failpoint } from "../../../platform/failpoints.ts"
import { query, subscription } from "../../../platform/trpc/handler.ts"
import { type Closed, closedBecause, CouponAdmission } from "../issuing/admission.ts"
import { CouponGate } from "../issuing/gate.ts"
import { lockCoupons } from "../campaigns/repository.ts"
import { insertIssued, issueCoupons } from "../issuing/issue-coupon.ts"
import { couponsOfUsers, findUserCoupon } from "../repository.ts"
import { LiveTickets } from "./live-tickets.ts"
import {
  campaignsWithWaiting,
  encodeRefusal,
  findTicket,
  headOfQueue,
  insertTickets,
  type RequestedTicket,
  settleIssued,
  settleRefused,
  ticketOf,
  type TicketRow,
  type WaitingTicket,
  waitingTicketsOf
} from "./repository.ts"

declare module "../../../platform/failpoints.ts" {
  interface Failpoints {
    "tickets: settled": true
    "tickets: committed": true
  }
}

/** What callers are told to wait when the queue of a campaign is full. */
const QUEUE_FULL_RETRY_AFTER_MS = 1_000

/** Tickets that one transaction serves, and campaigns that one run serves. */
const BATCH = 200
const CAMPAIGNS_PER_RUN = 100

/** Queues for a coupon. One INSERT without a contended lock, so it answers at once however many callers come. */
export const requestIssue = command(contract.coupons.requestIssue, {
  prepare: ({ caller, input }) =>
    Effect.sync((): RequestedTicket => ({
      id: newTicketId(),
      couponId: input.couponId,
      userId: caller.userId
    })),
  admit: admitToQueue,
  transaction: {
    lock: waitingTicketsOf,
    decide: issueTickets,
    write: (issued, now) => insertNew(issued, now)
  }
})

/** Refuses callers who cannot get a coupon anyway. */
function admitToQueue({
  couponId,
  userId
}: RequestedTicket): Effect.Effect<
  Admission<Closed | CouponAlreadyIssued, never>,
  ServiceUnavailable,
  CouponAdmission | LiveTickets | Database
> {
  return Effect.gen(function* () {
    const { current } = yield* CouponAdmission
    const coupon = yield* current(couponId)
    const now = new Date(yield* Clock.currentTimeMillis)
    const closed = coupon === undefined ? new CouponNotFound({ couponId }) : closedBecause(coupon, now)
    if (closed !== undefined) {
      const existing = coupon === undefined ? undefined : yield* findUserCoupon(couponId, userId)
      const error = existing === undefined ? closed : new CouponAlreadyIssued({ coupon: existing })
      return { _tag: "Refused", error }
    }
    const live = yield* LiveTickets
    if (yield* live.isQueueFull(couponId))
      return yield* new ServiceUnavailable({ retryAfterMs: QUEUE_FULL_RETRY_AFTER_MS })
    return { _tag: "Admitted", settle: () => Effect.void }
  })
}

interface DecidedTicket {
  readonly output: CouponTicket
  /** Absent when the user is in the queue already and keeps that place. */
  readonly request?: RequestedTicket
}

/** One waiting ticket for each user and campaign. */
export function issueTickets(
  waiting: ReadonlyArray<TicketRow>,
  requests: ReadonlyArray<RequestedTicket>,
  now: Date
): ReadonlyArray<Result.Result<DecidedTicket>> {
  const placeOf = ({ couponId, userId }: Pick<RequestedTicket, "couponId" | "userId">) =>
    `${couponId}/${userId}`
  const tickets = new Map(
    waiting.map((row): [string, DecidedTicket] => {
      const output = ticketOf(row, undefined)
      return [`${output.couponId}/${textOf(row.user_id)}`, { output }]
    })
  )
  return requests.map((request) => {
    const existing = tickets.get(placeOf(request))
    if (existing !== undefined) return Result.succeed({ output: existing.output })
    const { couponId, id } = request
    const output: CouponTicket = { id, couponId, requestedAt: now, result: { status: "waiting" } }
    const decided = { output, request }
    tickets.set(placeOf(request), decided)
    return Result.succeed(decided)
  })
}

const insertNew = (decided: ReadonlyArray<DecidedTicket>, now: Date) => {
  const requests = decided.flatMap(({ request }) => (request === undefined ? [] : [request]))
  return requests.length === 0 ? Effect.void : insertTickets(requests, now)
}

export const ticket = query(contract.coupons.ticket, ({ caller, input }) =>
  readTicket(caller.userId, input.ticketId)
)

const readTicket = Effect.fnUntraced(function* (userId: UserId, ticketId: TicketId) {
  const row = yield* findTicket(userId, ticketId)
  if (row === undefined) return yield* new TicketNotFound({ ticketId })
  const bare = ticketOf(row, undefined)
  return row.status === "issued" ? ticketOf(row, yield* findUserCoupon(bare.couponId, userId)) : bare
})

/** The ticket now, and once more when it is settled. */
export const watchTicket = subscription(contract.coupons.watchTicket, ({ caller, input }) =>
  Stream.unwrap(Effect.map(LiveTickets, (live) => live.watch(input.ticketId))).pipe(
    Stream.mapEffect(() => readTicket(caller.userId, input.ticketId)),
    Stream.takeUntil(({ result }) => result.status !== "waiting"),
    Stream.map((data) => ({ id: data.result.status, data }))
  )
)

/**
 * Serves the queues of all campaigns, each from its head. The campaign's row lock serialises processes, and callers who
 * ask for a coupon without a ticket.
 *
 * @returns how many tickets were settled
 */
const serveTickets = Effect.gen(function* () {
  const couponIds = yield* campaignsWithWaiting(CAMPAIGNS_PER_RUN)
  const counts = yield* Effect.forEach(couponIds, serveQueue)
  return counts.reduce((sum, count) => sum + count, 0)
})

/** Runs so often that the first ticket of an idle queue hardly waits. */
export const ticketServer = { name: "coupon tickets", intervalMs: 50, run: serveTickets }

const serveQueue = Effect.fnUntraced(function* (couponId: CouponId) {
  const gate = yield* CouponGate
  const live = yield* LiveTickets
  const { holders, settled } = yield* inTransaction(settleHead(couponId))
  yield* failpoint("tickets: committed")
  if (holders.length > 0) yield* Effect.ignore(gate.confirm(couponId, holders))
  yield* live.notify(settled)
  return settled.length
})

/** The campaign comes first: while its row is locked, no other process serves the queue. */
const settleHead = Effect.fnUntraced(function* (couponId: CouponId) {
  const campaigns = yield* lockCoupons([couponId])
  const tickets = yield* headOfQueue(couponId, BATCH)
  if (tickets.length === 0) return { holders: [], settled: [] }
  const requests = tickets.map(({ userId }) => ({ id: newUserCouponId(), couponId, userId }))
  const earlier = yield* couponsOfUsers(
    couponId,
    tickets.map(({ userId }) => userId)
  )
  const now = new Date(yield* Clock.currentTimeMillis)
  const outcomes = issueCoupons({ campaigns, earlier: new Map([[couponId, earlier]]) }, requests, now)
  const holders = yield* writeOutcomes(tickets, outcomes, now)
  yield* failpoint("tickets: settled")
  return { holders, settled: tickets.map(({ id }) => ticketIdOf(id)) }
})

/** Writes the coupons, and what became of each ticket. Returns the users who got one. */
const writeOutcomes = Effect.fnUntraced(function* (
  tickets: ReadonlyArray<WaitingTicket>,
  outcomes: ReturnType<typeof issueCoupons>,
  now: Date
) {
  const issued = outcomes.flatMap((outcome) => (Result.isSuccess(outcome) ? [outcome.success] : []))
  if (issued.length > 0) {
    yield* insertIssued(issued)
    yield* settleIssued(
      tickets.filter((_, index) => Result.isSuccess(outcomes[index]!)),
      now
    )
  }
  const refused = tickets.flatMap((waiting, index) => {
    const outcome = outcomes[index]!
    return Result.isFailure(outcome) ? [{ waiting, refusal: encodeRefusal(outcome.failure) }] : []
  })
  for (const [refusal, group] of Map.groupBy(refused, (one) => one.refusal))
    yield* settleRefused(
      group.map(({ waiting }) => waiting),
      refusal,
      now
    )
  return issued.map(({ output }) => output.userId)
})
