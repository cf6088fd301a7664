import * as Schema from "effect/Schema"
import { normalisedText, normaliseSku } from "./text.ts"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u
const uuidV7 = Schema.String.check(Schema.isPattern(uuid, { message: "must be a UUIDv7 in lower case" }))

/**
 * Identifies a user: a UUIDv7 in lower case, so that ids sort by creation time (RFC 9562, section 5.7), as far as the
 * clocks of the servers agree.
 */
export const UserId = uuidV7.pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type

/** Identifies a session of a user: a UUIDv7. */
export const SessionId = uuidV7.pipe(Schema.brand("SessionId"))
export type SessionId = typeof SessionId.Type

/** Identifies an order: a UUIDv7. */
export const OrderId = uuidV7.pipe(Schema.brand("OrderId"))
export type OrderId = typeof OrderId.Type

/** Identifies a payment: a UUIDv7. */
export const PaymentId = uuidV7.pipe(Schema.brand("PaymentId"))
export type PaymentId = typeof PaymentId.Type

/** Identifies a campaign: a UUIDv7. */
export const CouponId = uuidV7.pipe(Schema.brand("CouponId"))
export type CouponId = typeof CouponId.Type

/** Identifies a user coupon: a UUIDv7. */
export const UserCouponId = uuidV7.pipe(Schema.brand("UserCouponId"))
export type UserCouponId = typeof UserCouponId.Type

/** Identifies a ticket in a campaign's queue: a UUIDv7. */
export const TicketId = uuidV7.pipe(Schema.brand("TicketId"))
export type TicketId = typeof TicketId.Type

const SKU = "must be 1 to 64 printable characters without commas, colons or outer blanks"

/**
 * Identifies a product: the shop's own stock keeping unit of 1 to 64 visible, case-sensitive characters, normalised by
 * {@link normaliseSku} when it is decoded. Inner blanks are allowed (`BANK CHARGES`); outer ones are not, because MySQL
 * compares `A` and `A ` as equal. Commas and colons are excluded because they separate the parts of a lock key.
 */
export const Sku = normalisedText(
  Schema.String.check(
    Schema.isPattern(/^[^\s,:\p{C}](?:[^,:\p{C}]{0,62}[^\s,:\p{C}])?$/u, { message: SKU })
  ).pipe(Schema.brand("Sku")),
  normaliseSku,
  SKU
)
export type Sku = typeof Sku.Type
