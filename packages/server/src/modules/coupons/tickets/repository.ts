import {
  type CouponId,
  type CouponTicket,
  couponRefusals,
  type TicketId,
  type UserCoupon,
  type UserId
} from "@holdfast/domain"
import { Effect, Schema } from "effect"
import { read } from "../../../platform/db/database.ts"
import { bytesOf, couponIdOf, ticketIdOf, userIdOf } from "../../../platform/db/ids.ts"
import { write, writeUnique } from "../../../platform/db/transaction.ts"

/** Why a ticket was refused, as its row keeps it. */
const Refusal = Schema.fromJsonString(Schema.Union(couponRefusals))
export type Refusal = typeof Refusal.Type
const encodeRefusal = Schema.encodeSync(Refusal)
const decodeRefusal = Schema.decodeSync(Refusal)

const ticketColumns = ["id", "coupon_id", "user_id", "status", "refusal", "requested_at"] as const

export interface TicketRow {
  readonly id: Buffer
  readonly coupon_id: Buffer
  readonly user_id: Buffer
  readonly status: "waiting" | "issued" | "refused"
  readonly refusal: string | null
  readonly requested_at: Date
}

/** `coupon` is the user's coupon of that campaign, which an issued ticket has for certain. */
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

/** One waiting ticket a user and campaign: the unique key decides. */
export const insertTicket = (ticketId: TicketId, couponId: CouponId, userId: UserId, requestedAt: Date) =>
  writeUnique((tx, options) =>
    tx
      .insertInto("coupon_tickets")
      .values({
        id: bytesOf(ticketId),
        coupon_id: bytesOf(couponId),
        user_id: bytesOf(userId),
        waiting_user: bytesOf(userId),
        requested_at: requestedAt
      })
      .execute(options)
  )

/** The ticket with which this user waits for a coupon of this campaign. */
export const waitingTicketOf = (couponId: CouponId, userId: UserId) =>
  write((tx, options) =>
    tx
      .selectFrom("coupon_tickets")
      .select(ticketColumns)
      .where("coupon_id", "=", bytesOf(couponId))
      .where("waiting_user", "=", bytesOf(userId))
      .executeTakeFirst(options)
  )

/** One ticket of this user: another user's is not found, however right its id is. */
export const findTicket = (userId: UserId, ticketId: TicketId) =>
  read((db, options) =>
    db
      .selectFrom("coupon_tickets")
      .select(ticketColumns)
      .where("id", "=", bytesOf(ticketId))
      .where("user_id", "=", bytesOf(userId))
      .executeTakeFirst(options)
  )

/** How many tickets wait for a coupon of this campaign; counts no further than `limit`. */
export const countWaiting = (couponId: CouponId, limit: number) =>
  read((db, options) =>
    db
      .selectFrom(
        db
          .selectFrom("coupon_tickets")
          .select("place")
          .where("status", "=", "waiting")
          .where("coupon_id", "=", bytesOf(couponId))
          .limit(limit)
          .as("line")
      )
      .select((eb) => eb.fn.countAll<number>().as("n"))
      .executeTakeFirstOrThrow(options)
  ).pipe(Effect.map(({ n }) => n))

/** Campaigns that somebody waits for. */
export const campaignsWaitedFor = (limit: number) =>
  read((db, options) =>
    db
      .selectFrom("coupon_tickets")
      .select("coupon_id")
      .distinct()
      .where("status", "=", "waiting")
      .limit(limit)
      .execute(options)
  ).pipe(Effect.map((rows) => rows.map((row) => couponIdOf(row.coupon_id))))

export interface WaitingTicket {
  readonly id: Buffer
  readonly userId: UserId
}

/** The first of the line. The campaign is locked, so nobody else serves it meanwhile. */
export const firstInLine = (couponId: CouponId, limit: number) =>
  write((tx, options) =>
    tx
      .selectFrom("coupon_tickets")
      .select(["id", "user_id"])
      .where("status", "=", "waiting")
      .where("coupon_id", "=", bytesOf(couponId))
      .orderBy("place")
      .limit(limit)
      .execute(options)
  ).pipe(
    Effect.map((rows) => rows.map((row): WaitingTicket => ({ id: row.id, userId: userIdOf(row.user_id) })))
  )

export const settleIssued = (tickets: ReadonlyArray<WaitingTicket>, settledAt: Date) =>
  write((tx, options) =>
    tx
      .updateTable("coupon_tickets")
      .set({ status: "issued", waiting_user: null, settled_at: settledAt })
      .where(
        "id",
        "in",
        tickets.map(({ id }) => id)
      )
      .execute(options)
  )

/** Every ticket of the list is refused for the same reason. */
export const settleRefused = (tickets: ReadonlyArray<WaitingTicket>, refusal: Refusal, settledAt: Date) =>
  write((tx, options) =>
    tx
      .updateTable("coupon_tickets")
      .set({ status: "refused", waiting_user: null, settled_at: settledAt, refusal: encodeRefusal(refusal) })
      .where(
        "id",
        "in",
        tickets.map(({ id }) => id)
      )
      .execute(options)
  )

/** What has become of these tickets. */
export const ticketStatuses = (ticketIds: ReadonlyArray<TicketId>) =>
  read((db, options) =>
    db
      .selectFrom("coupon_tickets")
      .select(["id", "status"])
      .where("id", "in", ticketIds.map(bytesOf))
      .execute(options)
  ).pipe(Effect.map((rows) => new Map(rows.map(({ id, status }) => [ticketIdOf(id), status]))))
