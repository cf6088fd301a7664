import type { Coupon, CouponId } from "@holdfast/domain"
import { Effect } from "effect"
import { type Selectable, sql } from "kysely"
import { db } from "../../../platform/db/database.ts"
import { bytesOf, couponIdOf, textOf } from "../../../platform/db/ids.ts"
import type { DB } from "../../../platform/db/tables.ts"
import { readAt, tx } from "../../../platform/db/transaction.ts"
import { termsOf } from "../repository.ts"

const couponOf = (row: Selectable<DB["coupons"]>): Coupon => ({
  id: couponIdOf(row.id),
  name: row.name,
  ...termsOf(row),
  quantity: row.quantity,
  issued: row.issued,
  startsAt: row.starts_at,
  endsAt: row.ends_at,
  validDays: row.valid_days,
  paused: row.paused !== 0,
  createdAt: row.created_at
})

export const insertCoupons = (coupons: ReadonlyArray<Coupon>) =>
  tx.affected((q) =>
    q.insertInto("coupons").values(
      coupons.map((coupon) => ({
        id: bytesOf(coupon.id),
        name: coupon.name,
        kind: coupon.discount.kind,
        value: coupon.discount.kind === "percent" ? coupon.discount.percent : coupon.discount.amountMinor,
        minimum_order_minor: coupon.minimumOrderMinor,
        quantity: coupon.quantity,
        starts_at: coupon.startsAt,
        ends_at: coupon.endsAt,
        valid_days: coupon.validDays,
        created_at: coupon.createdAt
      }))
    )
  )

const now = sql<Date>`utc_timestamp(3)`

/** A campaign, and the database's time of the read. */
export const findCouponNow = (couponId: CouponId) =>
  db
    .first((q) =>
      q.selectFrom("coupons").selectAll().select(now.as("now")).where("id", "=", bytesOf(couponId))
    )
    .pipe(Effect.map((row) => (row === undefined ? undefined : { coupon: couponOf(row), now: row.now })))

export const findCoupon = (couponId: CouponId) =>
  Effect.map(findCouponNow(couponId), (found) => found?.coupon)

export const findCoupons = (couponIds: ReadonlyArray<CouponId>) =>
  db
    .rows((q) => q.selectFrom("coupons").selectAll().where("id", "in", couponIds.map(bytesOf)))
    .pipe(Effect.map((rows) => rows.map(couponOf)))

/**
 * Locks campaigns in primary-key order: everything that issues their coupons or changes them waits here. With "skip",
 * campaigns that other transactions hold are left out.
 */
export const lockCoupons = (couponIds: Iterable<CouponId>, heldRows: "skip" | "wait" = "wait") =>
  tx
    .timed((q) =>
      q
        .selectFrom("coupons")
        .selectAll()
        .select(readAt)
        .where("id", "in", [...new Set(couponIds)].map(bytesOf))
        .orderBy("id")
        .forUpdate()
        .$if(heldRows === "skip", (query) => query.skipLocked())
    )
    .pipe(Effect.map((rows) => new Map(rows.map((row) => [couponIdOf(row.id), couponOf(row)] as const))))

/** Which of these campaigns there are. Locks nothing. */
export const existingCoupons = (couponIds: ReadonlyArray<CouponId>) =>
  Effect.map(
    tx.rows((q) => q.selectFrom("coupons").select("id").where("id", "in", couponIds.map(bytesOf))),
    (rows) => rows.map(({ id }) => couponIdOf(id))
  )

/** Campaigns before `before`, newest first; with `endedWithinMs`, without those that ended longer ago. */
export const listCoupons = (before: CouponId | undefined, limit: number, endedWithinMs?: number) =>
  db
    .rows((q) =>
      q
        .selectFrom("coupons")
        .selectAll()
        .$if(before !== undefined, (query) => query.where("id", "<", bytesOf(before as CouponId)))
        .$if(endedWithinMs !== undefined, (query) =>
          query.where("ends_at", ">", sql<Date>`${now} - interval ${endedWithinMs! * 1_000} microsecond`)
        )
        .orderBy("id", "desc")
        .limit(limit)
    )
    .pipe(Effect.map((rows) => rows.map(couponOf)))

export const updatePaused = (couponIds: ReadonlyArray<CouponId>, paused: boolean) =>
  tx.affected((q) =>
    q
      .updateTable("coupons")
      .set({ paused: paused ? 1 : 0 })
      .where("id", "in", couponIds.map(bytesOf))
  )

export const addQuantity = (couponId: CouponId, additional: number) =>
  tx.affected((q) =>
    q
      .updateTable("coupons")
      .set({ quantity: sql<number>`quantity + ${additional}` })
      .where("id", "=", bytesOf(couponId))
  )

/** Guarded: `issued` grows only while it stays within the quantity. Returns how many campaigns had enough left. */
export const addIssued = (counts: ReadonlyMap<CouponId, number>) => {
  const cases = [...counts].map(([couponId, count]) => sql`when ${bytesOf(couponId)} then ${count}`)
  const issued = sql<number>`issued + case id ${sql.join(cases, sql` `)} end`
  return tx.affected((q) =>
    q
      .updateTable("coupons")
      .set({ issued })
      .where("id", "in", [...counts.keys()].map(bytesOf))
      .where(sql<boolean>`${issued} <= quantity`)
  )
}

/** Used coupons and waiting tickets by the text of the campaign's id; a campaign without any is absent. */
export const countUses = Effect.fnUntraced(function* (couponIds: ReadonlyArray<CouponId>) {
  if (couponIds.length === 0) return new Map<string, { readonly used: number; readonly waiting: number }>()
  const ids = sql.join(couponIds.map(bytesOf))
  const rows = yield* db.rows(
    () => sql<{ coupon_id: Buffer; used: number; waiting: number }>`
      select coupon_id, cast(sum(used) as signed) as used, cast(sum(waiting) as signed) as waiting from (
        select coupon_id, count(order_id) as used, 0 as waiting from user_coupons
          where coupon_id in (${ids}) group by coupon_id
        union all
        select coupon_id, 0, count(*) from coupon_tickets
          where status = 'waiting' and coupon_id in (${ids}) group by coupon_id
      ) counts group by coupon_id`
  )
  return new Map(rows.map(({ coupon_id, used, waiting }) => [textOf(coupon_id), { used, waiting }] as const))
})
