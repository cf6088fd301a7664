import {
  AmountMinor,
  type Coupon,
  type CouponId,
  type Discount,
  type OrderId,
  type UserCoupon,
  type UserCouponId,
  type UserId
} from "@holdfast/domain"
import { Effect } from "effect"
import { type Kysely, type Selectable, sql } from "kysely"
import { db } from "../../platform/db/database.ts"
import { bytesOf, couponIdOf, orderIdOf, textOf, userCouponIdOf, userIdOf } from "../../platform/db/ids.ts"
import type { DB } from "../../platform/db/tables.ts"
import { readAt, tx } from "../../platform/db/transaction.ts"

/** What a coupon is worth, from the columns of its campaign. The terms of a campaign never change. */
export const termsOf = (
  row: Pick<Selectable<DB["coupons"]>, "kind" | "value" | "minimum_order_minor">
): Pick<Coupon, "discount" | "minimumOrderMinor"> => ({
  discount: discountOf(row),
  minimumOrderMinor: AmountMinor.make(row.minimum_order_minor)
})

const discountOf = ({ kind, value }: Pick<Selectable<DB["coupons"]>, "kind" | "value">): Discount =>
  kind === "percent" ? { kind, percent: value } : { kind, amountMinor: AmountMinor.make(value) }

const selectUserCoupons = (q: Kysely<DB>) =>
  q
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

/** One coupon of a campaign for each user: the unique key refuses a second one. */
export const insertUserCoupons = (coupons: ReadonlyArray<UserCoupon>) =>
  tx.affected((q) =>
    q.insertInto("user_coupons").values(
      coupons.map((coupon) => ({
        id: bytesOf(coupon.id),
        coupon_id: bytesOf(coupon.couponId),
        user_id: bytesOf(coupon.userId),
        issued_at: coupon.issuedAt,
        expires_at: coupon.expiresAt
      }))
    )
  )

/** Users by the campaigns whose coupons they may have. */
export type UsersOfCampaigns = ReadonlyMap<CouponId, ReadonlyArray<UserId>>

const selectOfUsers = (q: Kysely<DB>, users: UsersOfCampaigns) =>
  selectUserCoupons(q).where((eb) =>
    eb.or(
      [...users].map(([couponId, userIds]) =>
        eb.and([eb("mine.coupon_id", "=", bytesOf(couponId)), eb("mine.user_id", "in", userIds.map(bytesOf))])
      )
    )
  )

/** The coupons that these users have of these campaigns. Those are locked, so none is being issued. */
export const couponsOfUsers = (users: UsersOfCampaigns) =>
  Effect.map(
    tx.rows((q) => selectOfUsers(q, users)),
    (rows) => rows.map(userCouponOf)
  )

/** The coupons of one campaign that these users have now, outside of any transaction. */
export const findCouponsOfUsers = (couponId: CouponId, userIds: ReadonlyArray<UserId>) =>
  Effect.map(
    db.rows((q) => selectOfUsers(q, new Map([[couponId, userIds]]))),
    (rows): ReadonlyMap<UserId, UserCoupon> =>
      new Map(rows.map((row) => [userIdOf(row.user_id), userCouponOf(row)]))
  )

export const findUserCoupon = (couponId: CouponId, userId: UserId) =>
  db
    .first((q) =>
      selectUserCoupons(q)
        .where("mine.coupon_id", "=", bytesOf(couponId))
        .where("mine.user_id", "=", bytesOf(userId))
    )
    .pipe(Effect.map((row) => (row === undefined ? undefined : userCouponOf(row))))

/** The user's coupons before `before`, newest first. */
export const listUserCoupons = (userId: UserId, before: UserCouponId | undefined, limit: number) =>
  db
    .rows((q) =>
      selectUserCoupons(q)
        .where("mine.user_id", "=", bytesOf(userId))
        .$if(before !== undefined, (query) => query.where("mine.id", "<", bytesOf(before as UserCouponId)))
        .orderBy("mine.id", "desc")
        .limit(limit)
    )
    .pipe(Effect.map((rows) => rows.map(userCouponOf)))

/** A coupon by its id, and the user that it must belong to. */
export interface OwnUserCouponId {
  readonly userId: UserId
  readonly userCouponId: UserCouponId
}

const selectOwnIds = (q: Kysely<DB>, coupons: ReadonlyArray<OwnUserCouponId>) =>
  q
    .selectFrom("user_coupons")
    .select("id")
    .where((eb) =>
      eb.or(
        coupons.map(({ userCouponId, userId }) =>
          eb.and({ id: bytesOf(userCouponId), user_id: bytesOf(userId) })
        )
      )
    )

/** Which of these coupons their users have. Locks nothing. */
export const existingUserCoupons = (coupons: ReadonlyArray<OwnUserCouponId>) =>
  Effect.map(
    tx.rows((q) => selectOwnIds(q, coupons)),
    (rows) => rows.map(({ id }) => userCouponIdOf(id))
  )

/**
 * Locks coupons of their users, and reads their terms afterwards: a lock over the join would lock the campaigns, too, and
 * every call that issues their coupons would wait for an order. With "skip", coupons that other transactions hold are
 * left out.
 */
export const lockUserCouponRows = Effect.fnUntraced(function* (
  coupons: ReadonlyArray<OwnUserCouponId>,
  heldRows: "skip" | "wait"
) {
  const locked = yield* tx.timed((q) =>
    selectOwnIds(q, coupons)
      .select(readAt)
      .orderBy("id")
      .forUpdate()
      .$if(heldRows === "skip", (query) => query.skipLocked())
  )
  if (locked.length === 0) return new Map<UserCouponId, UserCoupon>()
  const ids = locked.map(({ id }) => id)
  const rows = yield* tx.rows((q) => selectUserCoupons(q).where("mine.id", "in", ids))
  return new Map(rows.map((row) => [userCouponIdOf(row.id), userCouponOf(row)] as const))
})

/** A coupon, and the order that uses it. */
export interface OrderCoupon {
  readonly id: UserCouponId
  readonly couponId: CouponId
  readonly userId: UserId
  readonly orderId: OrderId
}

/** Locks the coupons that these orders use. */
export const lockOrderCoupons = (orderIds: ReadonlyArray<OrderId>) =>
  tx
    .timed((q) =>
      q
        .selectFrom("user_coupons")
        .select(["id", "coupon_id", "user_id", "order_id", readAt])
        .where("order_id", "in", orderIds.map(bytesOf))
        .orderBy("id")
        .forUpdate()
    )
    .pipe(
      Effect.map((rows) =>
        rows.map((row): OrderCoupon => ({
          id: userCouponIdOf(row.id),
          couponId: couponIdOf(row.coupon_id),
          userId: userIdOf(row.user_id),
          orderId: orderIdOf(row.order_id!)
        }))
      )
    )

/** Guarded: a used coupon stays with its order. Returns how many coupons were unused. */
export const useUserCoupons = (coupons: ReadonlyArray<Pick<OrderCoupon, "id" | "orderId">>) => {
  const cases = coupons.map(({ id, orderId }) => sql`when ${bytesOf(id)} then ${bytesOf(orderId)}`)
  return tx.affected((q) =>
    q
      .updateTable("user_coupons")
      .set({ order_id: sql<Buffer>`case id ${sql.join(cases, sql` `)} end` })
      .where(
        "id",
        "in",
        coupons.map(({ id }) => bytesOf(id))
      )
      .where("order_id", "is", null)
  )
}

/** Guarded: only the order that uses a coupon gives it back. Returns how many coupons came back. */
export const unuseUserCoupons = (coupons: ReadonlyArray<Pick<OrderCoupon, "id" | "orderId">>) =>
  tx.affected((q) =>
    q
      .updateTable("user_coupons")
      .set({ order_id: null })
      .where((eb) =>
        eb.or(coupons.map(({ id, orderId }) => eb.and({ id: bytesOf(id), order_id: bytesOf(orderId) })))
      )
  )

export interface CouponMovement {
  readonly couponId: CouponId
  /** What the campaign's stock gains; 0 when a coupon moves between its user and an order. */
  readonly delta: number
  readonly kind: "initial" | "raise" | "issue" | "use" | "return"
  readonly userCouponId?: UserCouponId
  readonly orderId?: OrderId
}

export const insertCouponMovements = (movements: ReadonlyArray<CouponMovement>) =>
  tx.affected((q) =>
    q.insertInto("coupon_ledger").values(
      movements.map(({ couponId, delta, kind, orderId, userCouponId }) => ({
        coupon_id: bytesOf(couponId),
        delta,
        kind,
        user_coupon_id: userCouponId === undefined ? null : bytesOf(userCouponId),
        order_id: orderId === undefined ? null : bytesOf(orderId)
      }))
    )
  )

/** Users with a coupon of this campaign, by id, from behind `after`. */
export const listHolders = (couponId: CouponId, after: UserId | undefined, limit: number) =>
  db
    .rows((q) =>
      q
        .selectFrom("user_coupons")
        .select("user_id")
        .where("coupon_id", "=", bytesOf(couponId))
        .$if(after !== undefined, (query) => query.where("user_id", ">", bytesOf(after as UserId)))
        .orderBy("user_id")
        .limit(limit)
    )
    .pipe(Effect.map((rows) => rows.map((row) => userIdOf(row.user_id))))

/** Which of these users have a coupon of this campaign. */
export const holdersAmong = (couponId: CouponId, userIds: ReadonlyArray<UserId>) =>
  userIds.length === 0
    ? Effect.succeed(new Set<string>())
    : db
        .rows((q) =>
          q
            .selectFrom("user_coupons")
            .select("user_id")
            .where("coupon_id", "=", bytesOf(couponId))
            .where("user_id", "in", userIds.map(bytesOf))
        )
        .pipe(Effect.map((rows) => new Set<string>(rows.map((row) => textOf(row.user_id)))))
