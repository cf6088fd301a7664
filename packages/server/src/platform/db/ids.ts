import { CouponId, OrderId, PaymentId, TicketId, UserCouponId, UserId } from "@holdfast/domain"
import { uuidv7obj, UUID } from "uuidv7"

/** The 16 bytes that a BINARY(16) column holds. Throws on a text that is no UUID: it was checked at the edge. */
export const bytesOf = (id: string): Buffer => Buffer.from(UUID.parse(id).bytes)

/** The text of the 16 bytes, in the lower case that the domain's ids have. */
export const textOf = (bytes: Uint8Array): string => UUID.ofInner(Uint8Array.from(bytes)).toString()

export const newUserId = (): UserId => UserId.make(uuidv7obj().toString())
export const newOrderId = (): OrderId => OrderId.make(uuidv7obj().toString())
export const newPaymentId = (): PaymentId => PaymentId.make(uuidv7obj().toString())
export const newCouponId = (): CouponId => CouponId.make(uuidv7obj().toString())
export const newUserCouponId = (): UserCouponId => UserCouponId.make(uuidv7obj().toString())
export const newTicketId = (): TicketId => TicketId.make(uuidv7obj().toString())

export const userIdOf = (bytes: Uint8Array): UserId => UserId.make(textOf(bytes))
export const orderIdOf = (bytes: Uint8Array): OrderId => OrderId.make(textOf(bytes))
export const paymentIdOf = (bytes: Uint8Array): PaymentId => PaymentId.make(textOf(bytes))
export const couponIdOf = (bytes: Uint8Array): CouponId => CouponId.make(textOf(bytes))
export const userCouponIdOf = (bytes: Uint8Array): UserCouponId => UserCouponId.make(textOf(bytes))
export const ticketIdOf = (bytes: Uint8Array): TicketId => TicketId.make(textOf(bytes))
