import type { OrderId, UserId } from "./ids.ts"
import { itemKeys, type OrderLine } from "./order-lines.ts"
import { defineLockOrder, lockScope } from "./locks/order.ts"

/** Two spellings of one e-mail address must meet at one key. */
const normalised = (email: string): string => email.normalize("NFKC").trim().toLowerCase()

/**
 * A process that dies leaves its locks behind for this long, and whoever sends its request again waits for them: an
 * answer after 5 seconds is the promise. They are renewed while they are used, so it says nothing about the use cases.
 */
const leaseMs = 4_000

/**
 * The locks of the shop, outermost first. Where a unique key or a row lock decides anyway, nothing is needed in their
 * place while Redis is away; elsewhere the database's named locks step in.
 */
export const commerceLocks = defineLockOrder([
  lockScope({
    name: "register",
    prefix: "register:",
    subject: normalised,
    mode: "optimistic",
    leaseMs,
    fallback: "proceed" // the unique e-mail decides
  }),
  lockScope({
    name: "coupon.issue",
    prefix: "coupon:issue:user:",
    subject: (userId: UserId) => userId,
    mode: "pessimistic",
    leaseMs,
    fallback: "proceed" // the locked coupon row and (coupon, user) decide
  }),
  lockScope({
    name: "order.create",
    prefix: "order:create:",
    subject: ({ lines, userId }: { readonly userId: UserId; readonly lines: ReadonlyArray<OrderLine> }) =>
      `${userId}:${itemKeys(lines)}`,
    mode: "optimistic",
    leaseMs,
    fenced: true // no unique key says that two equal baskets are one order
  }),
  lockScope({
    name: "payment.process",
    prefix: "payment:process:",
    subject: (orderId: OrderId) => orderId,
    mode: "optimistic",
    leaseMs,
    fallback: "proceed" // payments are unique by order
  }),
  lockScope({
    name: "points.charge",
    prefix: "points:charge:",
    subject: (userId: UserId) => userId,
    mode: "pessimistic",
    leaseMs
  })
])

/** One sign-up of an e-mail address at a time: `register:{email}`. */
export const RegisterLock = commerceLocks.scopes.register
/** A user's coupons, one at a time: `coupon:issue:user:{userId}`. */
export const CouponIssueLock = commerceLocks.scopes["coupon.issue"]
/** One order of the same goods by the same user at a time: `order:create:{userId}:{itemKeys}`. */
export const OrderCreateLock = commerceLocks.scopes["order.create"]
/** One payment of an order at a time: `payment:process:{orderId}`. */
export const PaymentProcessLock = commerceLocks.scopes["payment.process"]
/** A user's charges of points, one after another: `points:charge:{userId}`. */
export const PointsChargeLock = commerceLocks.scopes["points.charge"]
