import type { DomainError } from "@holdfast/domain"
import { Data } from "effect"

/**
 * Why a request ended without an answer:
 * `unreachable`: no connection was made, so the server never saw the request;
 * `connection-lost`: the connection broke before the whole answer was there;
 * `timeout`: no answer in time;
 * `unexpected-response`: something other than Holdfast answered, a proxy's error page for instance;
 * `overloaded`: too many calls of this client wait already, the request was not sent.
 */
export type TransportReason =
  | "unreachable"
  | "connection-lost"
  | "timeout"
  | "unexpected-response"
  | "overloaded"

interface TransportErrorFields {
  readonly procedure: string
  readonly reason: TransportReason
  /** False: the server surely never saw the request. True: it may have, and may have carried it out. */
  readonly maybeSent: boolean
  readonly retryable: boolean
  readonly httpStatus?: number | undefined
  /** What a proxy's `Retry-After` asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * The request got no answer from Holdfast, also not after the retries. Whether a mutation took effect is settled by
 * calling it again with the error's `idempotencyKey`: the server repeats the one answer that belongs to the key.
 */
export class TransportError extends Data.TaggedError("TransportError")<TransportErrorFields> {
  override get message() {
    const status = this.httpStatus === undefined ? "" : ` (HTTP ${this.httpStatus})`
    return `${this.procedure}: ${reasonWords[this.reason]}${status}`
  }
}

const reasonWords: { readonly [Reason in TransportReason]: string } = {
  unreachable: "the server cannot be reached",
  "connection-lost": "the connection broke before the answer was complete",
  timeout: "no answer in time",
  "unexpected-response": "something other than Holdfast answered",
  overloaded: "too many calls of this client are waiting"
}

interface RemoteDefectFields {
  readonly procedure: string
  /** The server's status word, `INTERNAL_SERVER_ERROR` for instance; `UNREADABLE_ANSWER` when the contract broke. */
  readonly code: string
  readonly httpStatus: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs?: number | undefined
  readonly detail: string
  readonly cause?: unknown
}

/**
 * The server answered with something that the procedure does not declare: a bug there (masked, look it up by
 * `requestId`), a server without this procedure, or an answer that this version of the contract cannot read.
 */
export class RemoteDefect extends Data.TaggedError("RemoteDefect")<RemoteDefectFields> {
  override get message() {
    return `${this.procedure}: ${this.detail} (${this.code})`
  }
}

/** What every error of a call carries besides its own fields. */
export interface CallDetails {
  readonly retryable: boolean
  /** When a retry makes sense, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined
  /** Names the last request in the server's log. `undefined` when nothing was sent. */
  readonly requestId: string | undefined
  /** The key of the mutation. Calling again with it gives the one answer that belongs to it, whatever happened. */
  readonly idempotencyKey: string | undefined
  /** How many requests were sent, the retries included; 0 when the input was wrong. */
  readonly attempts: number
}

/** An error as a call reports it: the very class, with the details of the call on it. */
export type Reported<E> = E extends unknown ? E & CallDetails : never

type Details = Pick<CallDetails, "requestId" | "idempotencyKey" | "attempts">

/**
 * Puts the details on the error itself, so that `instanceof`, `_tag` and the fields stay what they are. They are not
 * enumerable: an error's JSON and its equality remain those of the domain.
 */
export const report = <E extends DomainError | TransportError | RemoteDefect>(
  error: E,
  details: Details
): Reported<E> => {
  for (const [name, value] of Object.entries(details))
    Object.defineProperty(error, name, { value, enumerable: false, configurable: true, writable: false })
  Object.defineProperty(error, reported, { value: true, enumerable: false })
  return error as Reported<E>
}

const reported = Symbol.for("@holdfast/client-sdk/reported")

/** Whether {@link report} has seen it. */
export const isReported = (error: unknown): boolean =>
  typeof error === "object" && error !== null && reported in error

/** A copy for one of several calls that failed together, as all do that waited for one login. */
export const ownCopy = <E extends DomainError | TransportError | RemoteDefect>(error: E): E => {
  const copy = Object.defineProperties(new Error(error.message), Object.getOwnPropertyDescriptors(error))
  return Object.setPrototypeOf(copy, Object.getPrototypeOf(error) as object) as E
}
