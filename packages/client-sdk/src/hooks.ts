import type { DomainError, ProcedureKind } from "@holdfast/domain"
import type { RemoteDefect, TransportError } from "./errors.ts"

/** One request of a call, as the hooks see it. */
export interface RequestEvent {
  readonly procedure: string
  readonly kind: ProcedureKind
  /** 1 for the first request of the call. */
  readonly attempt: number
  readonly idempotencyKey: string | undefined
}

/** How that request ended. */
export interface ResponseEvent extends RequestEvent {
  readonly requestId: string | undefined
  readonly durationMs: number
  /** `undefined` when the request succeeded. */
  readonly error: DomainError | TransportError | RemoteDefect | undefined
}
