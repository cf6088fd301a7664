import type { ProcedureKind } from "@holdfast/domain"
import type { AnyFailure } from "./errors.ts"

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
  readonly error: AnyFailure | undefined
}

/** What `onDeprecated` receives. */
export interface DeprecationEvent {
  readonly procedure: string
  /** Since when; `undefined` if the server's header does not say. */
  readonly since: Date | undefined
}

/** Functions that are told of every request. What they throw is ignored. */
export interface Hooks {
  /** Called before every request, including retries. */
  readonly onRequest?: ((event: RequestEvent) => unknown) | undefined
  /** Called once for each procedure that the server calls deprecated. */
  readonly onDeprecated?: ((event: DeprecationEvent) => unknown) | undefined
  /** Called after every request. */
  readonly onResponse?: ((event: ResponseEvent) => unknown) | undefined
}
