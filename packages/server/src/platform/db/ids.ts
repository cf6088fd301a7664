import type {
  CouponId,
  OrderId,
  PaymentId,
  SessionId,
  TicketId,
  UserCouponId,
  UserId
} from "@holdfast/domain"
import { uuidv7 } from "uuidv7"

const BYTES = 16

/** The 16 bytes that a BINARY(16) column holds. Throws on a text that is no UUID: it was checked at the edge. */
export const bytesOf = (id: string): Buffer => {
  const bytes = Buffer.from(id.replaceAll("-", ""), "hex")
  if (bytes.length !== BYTES || id.length !== 2 * BYTES + 4) throw new Error("the id is no UUID")
  return bytes
}

/** The text of the 16 bytes, in the lower case that the domain's ids have. */
export const textOf = (bytes: Uint8Array): string => {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

// These ids are made here, or by the database from what was, so no schema checks them again. They begin with the time of
// this process: lists that show the newest first follow the clocks of the processes, and nothing is decided by that order.
export const newUserId = () => uuidv7() as UserId
export const newSessionId = () => uuidv7() as SessionId
export const newOrderId = () => uuidv7() as OrderId
export const newPaymentId = () => uuidv7() as PaymentId
export const newCouponId = () => uuidv7() as CouponId
export const newUserCouponId = () => uuidv7() as UserCouponId
export const newTicketId = () => uuidv7() as TicketId

export const userIdOf = (bytes: Uint8Array) => textOf(bytes) as UserId
export const sessionIdOf = (bytes: Uint8Array) => textOf(bytes) as SessionId
export const orderIdOf = (bytes: Uint8Array) => textOf(bytes) as OrderId
export const paymentIdOf = (bytes: Uint8Array) => textOf(bytes) as PaymentId
export const couponIdOf = (bytes: Uint8Array) => textOf(bytes) as CouponId
export const userCouponIdOf = (bytes: Uint8Array) => textOf(bytes) as UserCouponId
export const ticketIdOf = (bytes: Uint8Array) => textOf(bytes) as TicketId
