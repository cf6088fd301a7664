import type { OrderId, UserId } from "./kernel/ids.ts"
import { normaliseEmail } from "./kernel/text.ts"
import { defineLockOrder, lockScope } from "./locks/order.ts"
import { itemKeys, type OrderLine } from "./orders.ts"

/**
 * How long a crashed process keeps others waiting: a retry must get its answer within 5 seconds. A live holder renews
 * its lease, so this value does not limit how long a use case may take.
 */
const leaseMs = 4_000

/**
 * The shop's locks, outermost first. While Redis is unavailable, a scope whose effect a unique key or a row lock guards
 * proceeds without a lock; the others use named locks of the database.
 */
export const commerceLocks = defineLockOrder([
  lockScope({
    name: "register",
    prefix: "register:",
    subject: normaliseEmail,
    mode: "optimistic",
    leaseMs,
    fallback: "proceed" // guarded by the unique e-mail
  }),
  lockScope({
    name: "coupon.issue",
    prefix: "coupon:issue:user:",
    subject: (userId: UserId) => userId,
    mode: "pessimistic",
    leaseMs,
    fallback: "proceed" // guarded by the locked row of the campaign and the unique (coupon, user)
  }),
  lockScope({
    name: "order.create",
    prefix: "order:create:",
    subject: ({ lines, userId }: { readonly userId: UserId; readonly lines: ReadonlyArray<OrderLine> }) =>
      `${userId}:${itemKeys(lines)}`,
    mode: "optimistic",
    leaseMs,
    fenced: true // no unique key rejects a second order of the same goods
  }),
  lockScope({
    name: "payment.process",
    prefix: "payment:process:",
    subject: (orderId: OrderId) => orderId,
    mode: "optimistic",
    leaseMs,
    fallback: "proceed" // guarded by the unique order of a payment
  }),
  lockScope({
    name: "points.charge",
    prefix: "points:charge:",
    subject: (userId: UserId) => userId,
    mode: "pessimistic",
    leaseMs
  })
])

/** Serialises the registrations of one e-mail address: `register:{email}`. */
export const RegisterLock = commerceLocks.scopes.register
/** Serialises the issuing of user coupons to one user: `coupon:issue:user:{userId}`. */
export const CouponIssueLock = commerceLocks.scopes["coupon.issue"]
/** Serialises the orders of the same goods by one user: `order:create:{userId}:{itemKeys}`. */
export const OrderCreateLock = commerceLocks.scopes["order.create"]
/** Serialises the payments of one order: `payment:process:{orderId}`. */
export const PaymentProcessLock = commerceLocks.scopes["payment.process"]
/** Serialises the top-ups of one user's points: `points:charge:{userId}`. */
export const PointsChargeLock = commerceLocks.scopes["points.charge"]
