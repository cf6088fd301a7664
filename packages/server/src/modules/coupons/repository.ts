import type { CouponId, OrderId, UserCoupon, UserCouponId, UserId } from "@holdfast/domain"
import { Effect } from "effect"
import type { Kysely } from "kysely"
import { read } from "../../platform/db/database.ts"
import { bytesOf, couponIdOf, orderIdOf, userCouponIdOf, userIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { write, writeUnique } from "../../platform/db/transaction.ts"
import { termsOf } from "./campaigns/repository.ts"

/** Coupons of users with the terms of their campaigns, which never change. */
const selectUserCoupons = (db: Kysely<DB>) =>
  db
    .selectFrom("user_coupons as mine")
    .innerJoin("coupons as campaign", "campaign.id", "mine.coupon_id")
    .select([
      "mine.id",
      "mine.coupon_id",
      "mine.user_id",
      "mine.issued_at",
      "mine.expires_at",
      "mine.order_id",
      "campaign.name",
      "campaign.kind",
      "campaign.value",
      "campaign.minimum_order_minor"
    ])

type UserCouponRow = Awaited<ReturnType<ReturnType<typeof selectUserCoupons>["execute"]>>[number]

const userCouponOf = (row: UserCouponRow): UserCoupon => ({
  id: userCouponIdOf(row.id),
  couponId: couponIdOf(row.coupon_id),
  userId: userIdOf(row.user_id),
  name: row.name,
  ...termsOf(row),
  issuedAt: row.issued_at,
  expiresAt: row.expires_at,
  ...(row.order_id === null ? {} : { orderId: orderIdOf(row.order_id) })
})

/** One coupon a campaign and user: the unique key is the last line of that promise. */
export const insertUserCoupons = (coupons: ReadonlyArray<UserCoupon>) =>
  writeUnique((tx, options) =>
    tx
      .insertInto("user_coupons")
      .values(
        coupons.map((coupon) => ({
          id: bytesOf(coupon.id),
          coupon_id: bytesOf(coupon.couponId),
          user_id: bytesOf(coupon.userId),
          issued_at: coupon.issuedAt,
          expires_at: coupon.expiresAt
        }))
      )
      .execute(options)
  )

/** The coupons of one campaign that these users have, by user. The campaign is locked, so none is on its way. */
export const couponsOfUsers = (couponId: CouponId, userIds: ReadonlyArray<UserId>) =>
  write((tx, options) =>
    selectUserCoupons(tx)
      .where("mine.coupon_id", "=", bytesOf(couponId))
      .where("mine.user_id", "in", userIds.map(bytesOf))
      .execute(options)
  ).pipe(
    Effect.map((rows) => new Map(rows.map((row) => [userIdOf(row.user_id), userCouponOf(row)] as const)))
  )

export const findUserCoupon = (couponId: CouponId, userId: UserId) =>
  read((db, options) =>
    selectUserCoupons(db)
      .where("mine.coupon_id", "=", bytesOf(couponId))
      .where("mine.user_id", "=", bytesOf(userId))
      .executeTakeFirst(options)
  ).pipe(Effect.map((row) => (row === undefined ? undefined : userCouponOf(row))))

/** The user's coupons before `before`, the newest first. */
export const listUserCoupons = (userId: UserId, before: UserCouponId | undefined, limit: number) =>
  read((db, options) =>
    selectUserCoupons(db)
      .where("mine.user_id", "=", bytesOf(userId))
      .$if(before !== undefined, (query) => query.where("mine.id", "<", bytesOf(before as UserCouponId)))
      .orderBy("mine.id", "desc")
      .limit(limit)
      .execute(options)
  ).pipe(Effect.map((rows) => rows.map(userCouponOf)))

/**
 * Locks one coupon of this user, and reads its terms afterwards: a lock over the join would hold the campaign as well,
 * and everybody who wants one of its coupons would wait for an order.
 */
export const lockUserCoupon = (userId: UserId, userCouponId: UserCouponId) =>
  Effect.gen(function* () {
    const locked = yield* write((tx, options) =>
      tx
        .selectFrom("user_coupons")
        .select("id")
        .where("id", "=", bytesOf(userCouponId))
        .where("user_id", "=", bytesOf(userId))
        .forUpdate()
        .executeTakeFirst(options)
    )
    if (locked === undefined) return undefined
    const row = yield* write((tx, options) =>
      selectUserCoupons(tx).where("mine.id", "=", locked.id).executeTakeFirstOrThrow(options)
    )
    return userCouponOf(row)
  })

/** One guarded UPDATE: a coupon that is used stays with its order. Whether a row changed is the answer. */
export const useUserCoupon = (userCouponId: UserCouponId, orderId: OrderId) =>
  write((tx, options) =>
    tx
      .updateTable("user_coupons")
      .set({ order_id: bytesOf(orderId) })
      .where("id", "=", bytesOf(userCouponId))
      .where("order_id", "is", null)
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))

/** The coupon that an order is using, locked. */
export const lockCouponOfOrder = (orderId: OrderId) =>
  write((tx, options) =>
    tx
      .selectFrom("user_coupons")
      .select(["id", "coupon_id", "user_id"])
      .where("order_id", "=", bytesOf(orderId))
      .forUpdate()
      .executeTakeFirst(options)
  )

/** Takes the coupon from the order that uses it. Whether a row changed is the answer. */
export const unuseUserCoupon = (userCouponId: UserCouponId, orderId: OrderId) =>
  write((tx, options) =>
    tx
      .updateTable("user_coupons")
      .set({ order_id: null })
      .where("id", "=", bytesOf(userCouponId))
      .where("order_id", "=", bytesOf(orderId))
      .executeTakeFirst(options)
  ).pipe(Effect.map((result) => result.numUpdatedRows === 1n))
