export * from "@holdfast/domain"
export type { TokenOption } from "./auth/givenToken.ts"
export { type Credentials, memoryTokenStore, type TokenStore } from "./auth/sessions.ts"
export { type ClientOptions, createClient } from "./createClient.ts"
export {
  type CallDetails,
  RemoteDefect,
  type Reported,
  TransportError,
  type TransportReason
} from "./errors.ts"
export { isHoldfastError } from "./isHoldfastError.ts"
export type { RequestEvent, ResponseEvent } from "./hooks.ts"
export type { RetryPolicy } from "./retry.ts"
export type { Fetch } from "./transport/boundedFetch.ts"
export type * from "./names.ts"
export type * from "./types.ts"
