import type { DomainError, ProcedureKind } from "@holdfast/domain"
import type { RemoteDefect, TransportError } from "./errors.ts"

/** What `onRequest` receives: one request of a call. */
export interface RequestEvent {
  readonly procedure: string
  readonly kind: ProcedureKind
  /** 1 for the first request of the call. */
  readonly attempt: number
  readonly idempotencyKey: string | undefined
}

/** What `onResponse` receives: the request and its result. */
export interface ResponseEvent extends RequestEvent {
  readonly requestId: string | undefined
  readonly durationMs: number
  /** `undefined` if the request succeeded. */
  readonly error: DomainError | TransportError | RemoteDefect | undefined
}
