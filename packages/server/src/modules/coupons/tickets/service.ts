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
import { Cause, Effect, Result, Stream } from "effect"
import { type Admission, command } from "../../../platform/command/command.ts"
import type { Database } from "../../../platform/db/database.ts"
import { bytesOf, newTicketId, newUserCouponId, textOf, ticketIdOf } from "../../../platform/db/ids.ts"
import { databaseTime, inTransaction, type Transactions } from "../../../platform/db/transaction.ts"
import { noticeOnCommit } from "../../../platform/jobs/notices.ts"
import { aside, attemptEach } from "../../../platform/jobs/set-aside.ts"
import { failpoint } from "../../../platform/failpoints.ts"
import { query, subscription } from "../../../platform/trpc/handler.ts"
import { type Closed, closedBecause, CouponAdmission } from "../issuing/admission.ts"
import { CouponGate } from "../issuing/gate.ts"
import { campaignsChanged } from "../campaigns/cached.ts"
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

/** Campaigns that are served at once, and how long one may take. */
const CONCURRENCY = 4
const WITHIN_MS = 5_000

/** The least time for which a ticket leaves its line. */
const PAUSE_S = 1

/** The names under which queues and single tickets are set aside. */
const QUEUES = "coupon queues"
const TICKETS = "coupon tickets"

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
    const found = yield* current(couponId)
    const closed =
      found === undefined ? new CouponNotFound({ couponId }) : closedBecause(found.coupon, found.now)
    if (closed !== undefined) {
      const existing = found === undefined ? undefined : yield* findUserCoupon(couponId, userId)
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
  return requests.length === 0
    ? Effect.void
    : Effect.andThen(insertTickets(requests, now), noticeOnCommit(TICKETS))
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
  const couponIds = yield* campaignsWithWaiting(QUEUES, CAMPAIGNS_PER_RUN)
  return yield* attemptEach(couponIds, {
    job: QUEUES,
    keyOf: bytesOf,
    handle: (couponId) => serveQueue(couponId, BATCH),
    concurrency: CONCURRENCY,
    withinMs: WITHIN_MS
  })
})

/** A new ticket gives notice, so the first one of an idle queue hardly waits. */
export const ticketServer = {
  name: TICKETS,
  intervalMs: 50,
  notice: { topic: TICKETS, idleMs: 2_000 },
  run: serveTickets
}

const serveQueue = Effect.fnUntraced(function* (couponId: CouponId, limit: number) {
  const gate = yield* CouponGate
  const live = yield* LiveTickets
  const { holders, isHeadSetAside, retried, settled } = yield* settleServable(couponId, limit)
  yield* failpoint("tickets: committed")
  if (holders.length > 0) yield* campaignsChanged([couponId])
  yield* aside.forget(TICKETS, retried)
  if (holders.length > 0) yield* Effect.ignore(gate.confirm(couponId, holders))
  yield* live.notify(settled)
  // Those behind a ticket that was set aside are served at once.
  return isHeadSetAside ? 1 : settled.length
})

interface Served {
  readonly holders: ReadonlyArray<UserId>
  readonly settled: ReadonlyArray<TicketId>
  /** Those of them that had been set aside. */
  readonly retried: ReadonlyArray<Buffer>
  readonly isHeadSetAside: boolean
}

const nothingServed: Served = { holders: [], settled: [], retried: [], isHeadSetAside: false }

/**
 * A ticket that cannot be settled fails the transaction of all. Halving their number finds what stands before it; alone
 * at the head, it is set aside.
 */
const settleServable = (
  couponId: CouponId,
  limit: number
): Effect.Effect<Served, ServiceUnavailable, Database | Transactions> =>
  inTransaction(settleHead(couponId, limit)).pipe(
    Effect.catchDefect((defect) =>
      limit > 1
        ? settleServable(couponId, Math.floor(limit / 2))
        : inTransaction(headOfQueue(TICKETS, couponId, 1)).pipe(
            Effect.flatMap(([head]) =>
              head === undefined
                ? Effect.void
                : aside.put(TICKETS, [{ item: head.id, cause: Cause.die(defect) }], PAUSE_S)
            ),
            Effect.as({ ...nothingServed, isHeadSetAside: true })
          )
    )
  )

/** The campaign comes first: while its row is locked, no other process serves the queue. */
const settleHead = Effect.fnUntraced(function* (couponId: CouponId, limit: number) {
  const campaigns = yield* lockCoupons([couponId])
  const tickets = yield* headOfQueue(TICKETS, couponId, limit)
  if (tickets.length === 0) return nothingServed
  const requests = tickets.map(({ userId }) => ({ id: newUserCouponId(), couponId, userId }))
  const earlier = yield* couponsOfUsers(new Map([[couponId, tickets.map(({ userId }) => userId)]]))
  const now = yield* databaseTime
  const outcomes = issueCoupons({ campaigns, earlier }, requests, now)
  const holders = yield* writeOutcomes(tickets, outcomes, now)
  yield* failpoint("tickets: settled")
  const retried = tickets.flatMap(({ id, isRetry }) => (isRetry ? [id] : []))
  const settled = tickets.map(({ id }) => ticketIdOf(id))
  return { ...nothingServed, holders, settled, retried }
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
