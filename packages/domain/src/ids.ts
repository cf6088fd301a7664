import { Schema } from "effect"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const uuidV7 = Schema.String.check(Schema.isPattern(uuid, { message: "must be a UUIDv7 in lower case" }))

/** Identifies a user: UUIDv7 in lower case, so that ids sort by the time they were made. */
export const UserId = uuidV7.pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type

/** Identifies an order: UUIDv7. */
export const OrderId = uuidV7.pipe(Schema.brand("OrderId"))
export type OrderId = typeof OrderId.Type

/** Identifies a payment: UUIDv7. */
export const PaymentId = uuidV7.pipe(Schema.brand("PaymentId"))
export type PaymentId = typeof PaymentId.Type

/** Identifies a campaign of coupons: UUIDv7. */
export const CouponId = uuidV7.pipe(Schema.brand("CouponId"))
export type CouponId = typeof CouponId.Type

/** Identifies one coupon of one user: UUIDv7. */
export const UserCouponId = uuidV7.pipe(Schema.brand("UserCouponId"))
export type UserCouponId = typeof UserCouponId.Type

/** Identifies a place in the line for a coupon: UUIDv7. */
export const TicketId = uuidV7.pipe(Schema.brand("TicketId"))
export type TicketId = typeof TicketId.Type

/**
 * A product keeps the stock keeping unit that its shop gave it: 1 to 64 visible characters, case-sensitive,
 * inner blanks allowed (`BANK CHARGES`), outer ones not: MySQL compares `A` and `A ` as equal. Commas and colons
 * separate the parts of lock keys, so they cannot be part of a name either.
 */
export const Sku = Schema.String.check(
  Schema.isPattern(/^[^\s,:\p{C}](?:[^,:\p{C}]{0,62}[^\s,:\p{C}])?$/u, {
    message: "must be 1 to 64 printable characters without commas, colons or outer blanks"
  })
).pipe(Schema.brand("Sku"))
export type Sku = typeof Sku.Type
