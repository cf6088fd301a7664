export * from "@holdfast/domain"
export { type Credentials, memoryTokenStore, type TokenStore } from "./auth/sessions.ts"
export type { TokenOption } from "./auth/token-source.ts"
export { type ClientOptions, createClient } from "./create-client.ts"
export {
  type CallDetails,
  RemoteDefect,
  type Reported,
  TransportError,
  type TransportReason
} from "./errors.ts"
export { isHoldfastError } from "./is-holdfast-error.ts"
export type { RequestEvent, ResponseEvent } from "./hooks.ts"
export type { RetryPolicy } from "./retry.ts"
export type { Fetch } from "./transport/bounded-fetch.ts"
export type * from "./names.ts"
export type * from "./types.ts"
