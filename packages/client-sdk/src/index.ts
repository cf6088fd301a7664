/** Every error that a procedure declares, and the types of the domain. Its schemas and rules are in `@holdfast/domain`. */
export {
  BalanceLimitExceeded,
  CancellationPeriodOver,
  ChargeAmountNotAllowed,
  ChargeLimitExceeded,
  ChargesDisabled,
  CouponAlreadyIssued,
  CouponAlreadyUsed,
  CouponDiscountTooLarge,
  CouponEnded,
  CouponExpired,
  CouponMinimumNotMet,
  CouponNotFound,
  CouponNotStarted,
  CouponPaused,
  CouponQuantityExceeded,
  CouponSoldOut,
  DeadLetterNotFound,
  EmailTaken,
  Forbidden,
  IdempotencyKeyReused,
  InsufficientPoints,
  InvalidCredentials,
  InvalidInput,
  OrderExpired,
  OrderLimitExceeded,
  OrderNotCancellable,
  OrderNotFound,
  OrderNotPayable,
  OrderTotalTooLarge,
  OutOfStock,
  PaymentNotFound,
  ProductNotFound,
  RateLimited,
  RequestInProgress,
  ServiceUnavailable,
  SessionNotFound,
  SkuTaken,
  StockLimitExceeded,
  TicketNotFound,
  TooManySubscriptions,
  TooManyUnpaidOrders,
  Unauthenticated,
  UserCouponNotFound,
  UserNotFound
} from "@holdfast/domain"
export type * from "@holdfast/domain"
export { type Credentials, memoryTokenStore, type TokenStore } from "./auth/sessions.ts"
export type { TokenOption, TokenSource } from "./auth/token-source.ts"
export type { AppRouter } from "./app-router.ts"
export { type ClientOptions, createClient } from "./create-client.ts"
export {
  type CallDetails,
  RemoteDefect,
  type Reported,
  TransportError,
  type TransportReason,
  UnknownError
} from "./errors.ts"
export { isHoldfastError } from "./is-holdfast-error.ts"
export type { DeprecationEvent, Hooks, RequestEvent, ResponseEvent } from "./hooks.ts"
export { authLink } from "./links/auth-link.ts"
export type { CallContext, HoldfastLink } from "./links/call.ts"
export { decodingLink, errorsLink } from "./links/errors-link.ts"
export { hooksLink } from "./links/hooks-link.ts"
export { holdfastHttpLink, type HttpLinkOptions } from "./links/http-link.ts"
export { idempotencyLink } from "./links/idempotency-link.ts"
export { retryLink, type RetryLinkOptions } from "./links/retry-link.ts"
export { tracingLink } from "./links/tracing-link.ts"
export type { RetryPolicy } from "./retry.ts"
export type { Fetch } from "./transport/responses.ts"
export * from "./webhooks.ts"
export type * from "./names.ts"
export type * from "./types.ts"
