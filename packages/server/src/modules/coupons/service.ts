import {
  type AmountMinor,
  contract,
  type Coupon,
  CouponAlreadyIssued,
  CouponAlreadyUsed,
  CouponDiscountTooLarge,
  CouponExpired,
  type CouponId,
  CouponIssueLock,
  CouponMinimumNotMet,
  CouponNotFound,
  discountOf,
  maximumDiscountOf,
  minimumPriceOf,
  type OrderId,
  PAGE_SIZE,
  type UserCoupon,
  UserCouponId,
  UserCouponNotFound,
  type UserId
} from "@holdfast/domain"
import { Clock, Effect, Schema } from "effect"
import { makeCursor, toPage } from "../../platform/db/pagination.ts"
import { withIdempotency, refuseOnce } from "../../platform/idempotency/idempotency.ts"
import { couponIdOf, newUserCouponId, userCouponIdOf, userIdOf } from "../../platform/db/ids.ts"
import { insertOutbox } from "../../platform/outbox/outbox.ts"
import { withLock } from "@holdfast/locks"
import { failpoint } from "../../platform/failpoints.ts"
import type { Call } from "../../platform/trpc/adapter.ts"
import { mapLockErrors } from "../../platform/trpc/lock-errors.ts"
import { closedBecause, CouponAdmission, settleAdmission } from "./issuing/admission.ts"
import { addIssued, insertCouponMovements, lockCoupon } from "./campaigns/repository.ts"
import {
  couponsOfUsers,
  insertUserCoupons,
  listUserCoupons,
  lockCouponOfOrder,
  lockUserCoupon,
  unuseUserCoupon,
  useUserCoupon
} from "./repository.ts"

const DAY_MS = 86_400_000

/**
 * First come, first served: the user's own requests one after another, a slot of the gate, the transaction, and the
 * slot's confirmation. The transaction alone is right without any of the others.
 */
export const issueCoupon = Effect.fn("issueCoupon")(function* (call: Call<typeof contract.coupons.issue>) {
  const { caller, input, request } = call
  const mutation = { procedure: contract.coupons.issue, userId: caller.userId, request, input }
  const admitAndIssue = Effect.gen(function* () {
    const { admit, inLine } = yield* CouponAdmission
    const admission = yield* admit(input.couponId, caller.userId)
    if (admission._tag === "refused") return yield* refuseOnce(mutation, admission.error)
    yield* failpoint("issue: slot reserved")
    const issued = withIdempotency(mutation, issueInTransaction(input.couponId, caller.userId)).pipe(
      inLine(input.couponId),
      Effect.tap(() => failpoint("issue: committed"))
    )
    return yield* Effect.onExit(issued, (exit) =>
      settleAdmission(input.couponId, caller.userId, admission, exit)
    )
  })
  const coupon = yield* admitAndIssue.pipe(withLock(CouponIssueLock, caller.userId), mapLockErrors)
  yield* failpoint("issue: confirmed")
  return coupon
})

/** The locking read of the campaign comes first: whoever holds it sees every coupon that was issued before. */
const issueInTransaction = Effect.fnUntraced(function* (couponId: CouponId, userId: UserId) {
  const coupon = yield* lockCoupon(couponId)
  if (coupon === undefined) return yield* new CouponNotFound({ couponId })
  yield* failpoint("issue: campaign locked")
  const earlier = (yield* couponsOfUsers(couponId, [userId])).get(userId)
  if (earlier !== undefined) return yield* new CouponAlreadyIssued({ coupon: earlier })
  const now = yield* Clock.currentTimeMillis
  const closed = closedBecause(coupon, now)
  if (closed !== undefined) return yield* closed
  const [issued] = yield* issueTo(coupon, [userId], now)
  return issued!
})

/**
 * Gives a coupon of a locked campaign to each of these users, who have none and for whom there are enough. The guards
 * of the statements can only refuse what the lock failed to protect: a bug, never a sale.
 */
export const issueTo = Effect.fnUntraced(function* (
  coupon: Coupon,
  users: ReadonlyArray<UserId>,
  nowMs: number
) {
  const issued = users.map((userId): UserCoupon => ({
    id: newUserCouponId(),
    couponId: coupon.id,
    userId,
    name: coupon.name,
    discount: coupon.discount,
    minimumOrderMinor: coupon.minimumOrderMinor,
    issuedAt: new Date(nowMs),
    expiresAt: new Date(nowMs + coupon.validDays * DAY_MS)
  }))
  yield* insertUserCoupons(issued).pipe(Effect.catchTag("UniqueViolation", Effect.die))
  yield* failpoint("issue: coupon inserted")
  const isWithinQuantity = yield* addIssued(coupon.id, issued.length)
  if (!isWithinQuantity)
    return yield* Effect.die(new Error(`coupon ${coupon.id} has no ${issued.length} left under its lock`))
  yield* failpoint("issue: counted")
  yield* insertCouponMovements(
    issued.map(({ id }) => ({ couponId: coupon.id, delta: -1, kind: "issue", userCouponId: id }))
  )
  yield* Effect.forEach(issued, (userCoupon) => insertOutbox("coupon.issued", eventOf(userCoupon)), {
    discard: true
  })
  yield* failpoint("issue: rows written")
  return issued
})

const eventOf = ({ couponId, id, userId }: Pick<UserCoupon, "id" | "couponId" | "userId">) => ({
  userCouponId: id,
  couponId,
  userId
})

const cursor = makeCursor(Schema.Struct({ userCouponId: UserCouponId }))

export const myCoupons = Effect.fn("myCoupons")(function* ({
  caller,
  input
}: Call<typeof contract.coupons.mine>) {
  const before = input.cursor === undefined ? undefined : (yield* cursor.decode(input.cursor)).userCouponId
  const limit = input.limit ?? PAGE_SIZE.default
  const mine = yield* listUserCoupons(caller.userId, before, limit + 1)
  return toPage(mine, limit, ({ id }) => cursor.encode({ userCouponId: id }))
})

/** A user's coupon that may be used for goods of this price, locked, and what it takes off. */
export const redeemableCoupon = Effect.fnUntraced(function* (
  userId: UserId,
  userCouponId: UserCouponId,
  priceMinor: AmountMinor
) {
  const coupon = yield* lockUserCoupon(userId, userCouponId)
  if (coupon === undefined) return yield* new UserCouponNotFound({ userCouponId })
  if (coupon.orderId !== undefined)
    return yield* new CouponAlreadyUsed({ userCouponId, orderId: coupon.orderId })
  if (coupon.expiresAt.getTime() <= (yield* Clock.currentTimeMillis))
    return yield* new CouponExpired({ userCouponId, expiredAt: coupon.expiresAt })
  const minimumMinor = minimumPriceOf(coupon)
  if (priceMinor < minimumMinor)
    return yield* new CouponMinimumNotMet({ userCouponId, priceMinor, minimumMinor })
  const discountMinor = discountOf(coupon.discount, priceMinor)
  const maximumMinor = maximumDiscountOf(priceMinor)
  if (discountMinor > maximumMinor)
    return yield* new CouponDiscountTooLarge({ userCouponId, discountMinor, maximumMinor })
  return { coupon, discountMinor }
})

/** Uses a locked coupon for an order whose row is there, inside the order's transaction. */
export const redeemCoupon = Effect.fnUntraced(function* (coupon: UserCoupon, orderId: OrderId) {
  const isOurs = yield* useUserCoupon(coupon.id, orderId)
  if (!isOurs) return yield* Effect.die(new Error(`coupon ${coupon.id} was used under its lock`))
  yield* insertCouponMovements([
    { couponId: coupon.couponId, delta: 0, kind: "use", userCouponId: coupon.id, orderId }
  ])
  yield* insertOutbox("coupon.used", { ...eventOf(coupon), orderId })
})

/**
 * Gives the coupon of a cancelled or expired order back to its user, inside that transaction. An order without a
 * coupon, or one that has given its coupon back, changes nothing. A coupon comes back with the expiry that it had.
 */
export const returnCouponOfOrder = Effect.fnUntraced(function* (orderId: OrderId) {
  const row = yield* lockCouponOfOrder(orderId)
  if (row === undefined) return
  const coupon = {
    id: userCouponIdOf(row.id),
    couponId: couponIdOf(row.coupon_id),
    userId: userIdOf(row.user_id)
  }
  const isReturned = yield* unuseUserCoupon(coupon.id, orderId)
  if (!isReturned)
    return yield* Effect.die(new Error(`coupon ${coupon.id} left order ${orderId} under its lock`))
  yield* insertCouponMovements([
    { couponId: coupon.couponId, delta: 0, kind: "return", userCouponId: coupon.id, orderId }
  ])
  yield* insertOutbox("coupon.returned", { ...eventOf(coupon), orderId })
})
