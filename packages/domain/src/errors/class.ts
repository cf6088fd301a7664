import type { Schema } from "effect"

/** The HTTP status of each status word that errors travel under, as tRPC answers it. */
export const HTTP_STATUS = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  PRECONDITION_FAILED: 412,
  UNPROCESSABLE_CONTENT: 422,
  TOO_MANY_REQUESTS: 429,
  SERVICE_UNAVAILABLE: 503
} as const

/** The status words that errors travel under; tRPC and HTTP know the same ones. */
export type ErrorCode = keyof typeof HTTP_STATUS

/**
 * What every error of the domain has. `retryable` says whether the same request may succeed a moment later without
 * anybody changing anything; an error that is not retryable is a definitive answer, which a repeated request gets again.
 */
export interface DomainError extends Error {
  readonly _tag: string
  readonly retryable: boolean
  readonly retryAfterMs?: number | undefined
}

/** A class of such errors: a schema, so that the server encodes and the client decodes the very same class. */
// oxlint-disable-next-line typescript/no-explicit-any -- constructors are contravariant in their arguments
export interface DomainErrorClass extends Schema.Codec<any, any> {
  readonly code: ErrorCode
  // oxlint-disable-next-line typescript/no-explicit-any
  new (...args: Array<any>): DomainError
}
