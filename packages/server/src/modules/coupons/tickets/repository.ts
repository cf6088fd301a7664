import {
  type CouponId,
  type CouponTicket,
  couponRefusals,
  type TicketId,
  type UserCoupon,
  type UserId
} from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { type Selectable, sql } from "kysely"
import { db } from "../../../platform/db/database.ts"
import { bytesOf, couponIdOf, ticketIdOf, userIdOf } from "../../../platform/db/ids.ts"
import type { DB } from "../../../platform/db/tables.ts"
import { isDue, isNotSetAside } from "../../../platform/jobs/set-aside.ts"
import { tx } from "../../../platform/db/transaction.ts"

/** Why a ticket was refused, as its row keeps it. */
const Refusal = Schema.fromJsonString(Schema.Union(couponRefusals))
type Refusal = typeof Refusal.Type
export const encodeRefusal = Schema.encodeSync(Refusal)
const decodeRefusal = Schema.decodeSync(Refusal)

export type TicketRow = Selectable<DB["coupon_tickets"]>

/** @param coupon the user's coupon of that campaign; an issued ticket always has one */
export const ticketOf = (row: TicketRow, coupon: UserCoupon | undefined): CouponTicket => ({
  id: ticketIdOf(row.id),
  couponId: couponIdOf(row.coupon_id),
  requestedAt: row.requested_at,
  result: resultOf(row, coupon)
})

const resultOf = ({ refusal, status }: TicketRow, coupon: UserCoupon | undefined): CouponTicket["result"] => {
  if (status === "refused" && refusal !== null) return { status, error: decodeRefusal(refusal) }
  if (status === "issued" && coupon !== undefined) return { status, coupon }
  return { status: "waiting" }
}

/** A ticket that a user asks for. */
export interface RequestedTicket {
  readonly id: TicketId
  readonly couponId: CouponId
  readonly userId: UserId
}

/** One waiting ticket for each user and campaign: a transaction that comes second starts over and finds the first. */
export const insertTickets = (tickets: ReadonlyArray<RequestedTicket>, requestedAt: Date) =>
  tx.insertOrRestart((q) =>
    q.insertInto("coupon_tickets").values(
      tickets.map(({ couponId, id, userId }) => ({
        id: bytesOf(id),
        coupon_id: bytesOf(couponId),
        user_id: bytesOf(userId),
        waiting_user: bytesOf(userId),
        requested_at: requestedAt
      }))
    )
  )

/** The waiting tickets of these users for these campaigns. The time comes with them, also when there are none. */
export const waitingTicketsOf = (tickets: ReadonlyArray<RequestedTicket>) => {
  const isTheirs = sql.join(
    tickets.map(
      ({ couponId, userId }) => sql`(coupon_id = ${bytesOf(couponId)} and waiting_user = ${bytesOf(userId)})`
    ),
    sql` or `
  )
  return tx
    .timed(
      () => sql<Partial<TicketRow> & { readonly read_at: Date }>`
        select waiting.*, clock.read_at from (select sysdate(3) as read_at) clock
        left join (select * from coupon_tickets where ${isTheirs}) waiting on true`
    )
    .pipe(Effect.map((rows) => rows.filter((row): row is TicketRow & typeof row => row.id != null)))
}

/** One of this user's tickets, or `undefined`: another user's ticket is not found. */
export const findTicket = (userId: UserId, ticketId: TicketId) =>
  db.first((q) =>
    q
      .selectFrom("coupon_tickets")
      .selectAll()
      .where("id", "=", bytesOf(ticketId))
      .where("user_id", "=", bytesOf(userId))
  )

/** How many tickets wait for a coupon of this campaign; counts no further than `limit`. */
export const countWaiting = (couponId: CouponId, limit: number) =>
  db
    .first((q) =>
      q
        .selectFrom(
          q
            .selectFrom("coupon_tickets")
            .select("place")
            .where("status", "=", "waiting")
            .where("coupon_id", "=", bytesOf(couponId))
            .limit(limit)
            .as("queue")
        )
        .select((eb) => eb.fn.countAll<number>().as("n"))
    )
    .pipe(Effect.map((row) => row?.n ?? 0))

/** Campaigns with waiting tickets, without those that the job has set aside. */
export const campaignsWithWaiting = (job: string, limit: number) =>
  db
    .rows((q) =>
      q
        .selectFrom(
          q
            .selectFrom("coupon_tickets")
            .select("coupon_id")
            .distinct()
            .where("status", "=", "waiting")
            .as("queue")
        )
        .select("coupon_id")
        .where(isDue(job, "queue.coupon_id"))
        .limit(limit)
    )
    .pipe(Effect.map((rows) => rows.map((row) => couponIdOf(row.coupon_id))))

export interface WaitingTicket {
  readonly id: Buffer
  readonly userId: UserId
  /** Whether it was set aside before. */
  readonly isRetry: boolean
}

/**
 * The head of the queue, without the tickets that the job has set aside. The campaign is locked, so no other process
 * serves it.
 */
export const headOfQueue = (job: string, couponId: CouponId, limit: number) =>
  tx
    .rows((q) =>
      q
        .selectFrom("coupon_tickets")
        .select(["id", "user_id", isNotSetAside(job, "coupon_tickets.id").as("is_first")])
        .where("status", "=", "waiting")
        .where("coupon_id", "=", bytesOf(couponId))
        .where(isDue(job, "coupon_tickets.id"))
        .orderBy("place")
        .limit(limit)
    )
    .pipe(
      Effect.map((rows) =>
        rows.map((row): WaitingTicket => ({
          id: row.id,
          userId: userIdOf(row.user_id),
          isRetry: Number(row.is_first) === 0
        }))
      )
    )

export const settleIssued = (tickets: ReadonlyArray<WaitingTicket>, settledAt: Date) =>
  tx.affected((q) =>
    q
      .updateTable("coupon_tickets")
      .set({ status: "issued", waiting_user: null, settled_at: settledAt })
      .where(
        "id",
        "in",
        tickets.map(({ id }) => id)
      )
  )

/** @param refusal the encoded error, the same for all of them */
export const settleRefused = (tickets: ReadonlyArray<WaitingTicket>, refusal: string, settledAt: Date) =>
  tx.affected((q) =>
    q
      .updateTable("coupon_tickets")
      .set({ status: "refused", waiting_user: null, settled_at: settledAt, refusal })
      .where(
        "id",
        "in",
        tickets.map(({ id }) => id)
      )
  )

/** The statuses of these tickets. */
export const ticketStatuses = (ticketIds: ReadonlyArray<TicketId>) =>
  db
    .rows((q) =>
      q.selectFrom("coupon_tickets").select(["id", "status"]).where("id", "in", ticketIds.map(bytesOf))
    )
    .pipe(Effect.map((rows) => new Map(rows.map(({ id, status }) => [ticketIdOf(id), status]))))
