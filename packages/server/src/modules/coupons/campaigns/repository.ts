import {
  AmountMinor,
  type Coupon,
  type CouponId,
  type Discount,
  type OrderId,
  type UserId
} from "@holdfast/domain"
import { Effect } from "effect"
import { sql } from "kysely"
import { read } from "../../../platform/db/database.ts"
import { bytesOf, couponIdOf, textOf, userIdOf } from "../../../platform/db/ids.ts"
import { write } from "../../../platform/db/transaction.ts"

const couponColumns = [
  "id",
  "name",
  "kind",
  "value",
  "minimum_order_minor",
  "quantity",
  "issued",
  "starts_at",
  "ends_at",
  "valid_days",
  "paused",
  "created_at"
] as const

interface TermsRow {
  readonly kind: "percent" | "fixed"
  readonly value: number
  readonly minimum_order_minor: number
}

interface CouponRow extends TermsRow {
  readonly id: Buffer
  readonly name: string
  readonly quantity: number
  readonly issued: number
  readonly starts_at: Date
  readonly ends_at: Date
  readonly valid_days: number
  readonly paused: number
  readonly created_at: Date
}

/** What a coupon is worth, from the columns of its campaign. */
export const termsOf = (row: TermsRow): Pick<Coupon, "discount" | "minimumOrderMinor"> => ({
  discount: discountOfRow(row),
  minimumOrderMinor: AmountMinor.make(row.minimum_order_minor)
})

const discountOfRow = ({ kind, value }: TermsRow): Discount =>
  kind === "percent" ? { kind, percent: value } : { kind, amountMinor: AmountMinor.make(value) }

const couponOf = (row: CouponRow): Coupon => ({
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

export const insertCoupon = (coupon: Coupon) =>
  write((tx, options) =>
    tx
      .insertInto("coupons")
      .values({
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
      })
      .execute(options)
  )

export const findCoupon = (couponId: CouponId) =>
  read((db, options) =>
    db
      .selectFrom("coupons")
      .select(couponColumns)
      .where("id", "=", bytesOf(couponId))
      .executeTakeFirst(options)
  ).pipe(Effect.map((row) => (row === undefined ? undefined : couponOf(row))))

/** Locks the campaign until the transaction ends: whoever issues one of its coupons, or changes it, comes by here. */
export const lockCoupon = (couponId: CouponId) =>
  write((tx, options) =>
    tx
      .selectFrom("coupons")
      .select(couponColumns)
      .where("id", "=", bytesOf(couponId))
      .forUpdate()
      .executeTakeFirst(options)
  ).pipe(Effect.map((row) => (row === undefined ? undefined : couponOf(row))))

/** Campaigns before `before`, the newest first; only those that end after `endsAfter`, where it is given. */
export const listCoupons = (before: CouponId | undefined, limit: number, endsAfter?: Date) =>
  read((db, options) =>
    db
      .selectFrom("coupons")
      .select(couponColumns)
      .$if(before !== undefined, (query) => query.where("id", "<", bytesOf(before as CouponId)))
      .$if(endsAfter !== undefined, (query) => query.where("ends_at", ">", endsAfter as Date))
      .orderBy("id", "desc")
      .limit(limit)
      .execute(options)
  ).pipe(Effect.map((rows) => rows.map(couponOf)))

export const updatePaused = (couponId: CouponId, paused: boolean) =>
  write((tx, options) =>
    tx
      .updateTable("coupons")
      .set({ paused: paused ? 1 : 0 })
      .where("id", "=", bytesOf(couponId))
      .execute(options)
  )

export const addQuantity = (couponId: CouponId, additional: number) =>
  write((tx, options) =>
    tx
      .updateTable("coupons")
      .set({ quantity: sql<number>`quantity + ${additional}` })
      .where("id", "=", bytesOf(couponId))
      .execute(options)
  )

/** One guarded UPDATE: `issued` grows only where it stays within the quantity. Whether it did is the answer. */
export const addIssued = (couponId: CouponId, count: number) =>
  write((tx, options) =>
    tx
      .updateTable("coupons")
      .set({ issued: sql<number>`issued + ${count}` })
      .where("id", "=", bytesOf(couponId))
      .where(sql<boolean>`issued + ${count} <= quantity`)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))

export interface CouponMovement {
  readonly couponId: CouponId
  readonly delta: number
  readonly kind: "initial" | "raise" | "issue" | "use" | "return"
  readonly userCouponId?: string
  readonly orderId?: OrderId
}

export const insertCouponMovements = (movements: ReadonlyArray<CouponMovement>) =>
  write((tx, options) =>
    tx
      .insertInto("coupon_ledger")
      .values(
        movements.map(({ couponId, delta, kind, orderId, userCouponId }) => ({
          coupon_id: bytesOf(couponId),
          delta,
          kind,
          user_coupon_id: userCouponId === undefined ? null : bytesOf(userCouponId),
          order_id: orderId === undefined ? null : bytesOf(orderId)
        }))
      )
      .execute(options)
  )

/** Coupons in use and tickets in line, by the text of the campaign's id; a campaign without any is not there. */
export const countUses = (couponIds: ReadonlyArray<CouponId>) =>
  couponIds.length === 0
    ? Effect.succeed(new Map<string, { readonly used: number; readonly waiting: number }>())
    : read((db, options) =>
        sql<{ coupon_id: Buffer; used: number; waiting: number }>`
          select coupon_id, cast(sum(used) as signed) as used, cast(sum(waiting) as signed) as waiting from (
            select coupon_id, count(order_id) as used, 0 as waiting from user_coupons
              where coupon_id in (${sql.join(couponIds.map(bytesOf))}) group by coupon_id
            union all
            select coupon_id, 0, count(*) from coupon_tickets
              where status = 'waiting' and coupon_id in (${sql.join(couponIds.map(bytesOf))}) group by coupon_id
          ) counts group by coupon_id`.execute(db, options)
      ).pipe(
        Effect.map(
          ({ rows }) =>
            new Map(
              rows.map(({ coupon_id, used, waiting }) => [textOf(coupon_id), { used, waiting }] as const)
            )
        )
      )

/** Who has a coupon of this campaign, in the order of their ids, from behind `after`. */
export const listHolders = (couponId: CouponId, after: UserId | undefined, limit: number) =>
  read((db, options) =>
    db
      .selectFrom("user_coupons")
      .select("user_id")
      .where("coupon_id", "=", bytesOf(couponId))
      .$if(after !== undefined, (query) => query.where("user_id", ">", bytesOf(after as UserId)))
      .orderBy("user_id")
      .limit(limit)
      .execute(options)
  ).pipe(Effect.map((rows) => rows.map((row) => userIdOf(row.user_id))))

/** Which of these users have a coupon of this campaign. */
export const holdersAmong = (couponId: CouponId, userIds: ReadonlyArray<UserId>) =>
  read((db, options) =>
    db
      .selectFrom("user_coupons")
      .select("user_id")
      .where("coupon_id", "=", bytesOf(couponId))
      .where("user_id", "in", userIds.map(bytesOf))
      .execute(options)
  ).pipe(Effect.map((rows) => new Set<string>(rows.map((row) => textOf(row.user_id)))))
