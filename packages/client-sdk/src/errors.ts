import type { DomainError } from "@holdfast/domain"
import * as Data from "effect/Data"

/**
 * Why a request ended without an answer:
 * - `unreachable`: no connection was made, so the server has not seen the request;
 * - `connection-lost`: the connection broke before the answer was complete;
 * - `timeout`: no answer arrived in time;
 * - `unexpected-response`: something other than Holdfast answered, a proxy's error page for instance;
 * - `overloaded`: too many calls of this client are already waiting, so the request was not sent.
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
  /** False if the server has certainly not seen the request; true if it may have carried it out. */
  readonly maybeSent: boolean
  readonly retryable: boolean
  readonly httpStatus?: number | undefined
  /** A proxy's `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * The request got no answer from Holdfast, even after its retries. To settle whether a mutation took effect, call it
 * again with the error's `idempotencyKey`: the server repeats the one answer that belongs to the key.
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
  /** The server's error code, `INTERNAL_SERVER_ERROR` for instance; `UNREADABLE_ANSWER` if decoding failed. */
  readonly code: string
  readonly httpStatus: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs?: number | undefined
  readonly detail: string
  readonly cause?: unknown
}

/**
 * The server answered with something that the procedure does not declare: a masked bug (its log entry has the
 * `requestId`), a server without this procedure, or an answer that this version of the contract cannot decode.
 */
export class RemoteDefect extends Data.TaggedError("RemoteDefect")<RemoteDefectFields> {
  override get message() {
    return `${this.procedure}: ${this.detail} (${this.code})`
  }
}

interface UnknownErrorFields {
  readonly procedure: string
  /** The `_tag` of the server's error. */
  readonly tag: string
  /** The fields of the server's error, as JSON. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly code: string
  readonly httpStatus: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs?: number | undefined
  readonly detail: string
}

/** A newer server answered with an error that this version of the contract does not declare. It keeps tag and fields. */
export class UnknownError extends Data.TaggedError("UnknownError")<UnknownErrorFields> {
  override get message() {
    return `${this.procedure}: ${this.detail} (${this.tag})`
  }
}

/** An error of a call: one that the server declares, or one of the client's own. */
export type AnyFailure = DomainError | TransportError | RemoteDefect | UnknownError

/** The details of the call that every reported error carries besides its own fields. */
export interface CallDetails {
  readonly retryable: boolean
  /** The earliest time of a useful retry, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined
  /** Identifies the last request in the server's log; `undefined` if nothing was sent. */
  readonly requestId: string | undefined
  /** The key of the mutation. Calling again with it returns the one answer that belongs to it. */
  readonly idempotencyKey: string | undefined
  /** How many requests were sent, including retries; 0 if the input was invalid. */
  readonly attempts: number
  /** The page of the error: what it means and what to do. */
  readonly docsUrl: string
  /** The error with its fields and these details, as plain JSON. */
  readonly toJSON: () => Readonly<Record<string, unknown>>
  /** The same, and as its own `cause` what went wrong. `structuredClone` copies it. */
  readonly cause?: unknown
}

/** An error as a call reports it: the declared class with the {@link CallDetails}. */
export type Reported<E> = E extends unknown ? E & CallDetails : never

type Details = Pick<CallDetails, "requestId" | "idempotencyKey" | "attempts">

/** Where the pages of the errors are. */
const DOCS = "https://github.com/holdfast-commerce/holdfast/blob/main/docs/errors"

/**
 * Adds the details to the error itself, so that `instanceof`, `_tag` and the fields are preserved. They are not
 * enumerable, so that the error's equality is preserved as well. `structuredClone` copies of an error its message, its
 * stack and its `cause`, if they are its own: the cause has the fields and details as plain data, and below it what went
 * wrong.
 */
export const report = <E extends AnyFailure>(error: E, details: Details): Reported<E> => {
  const { cause: given, message, retryable, retryAfterMs } = error
  const reason = isReported(error) ? (given as { readonly cause?: unknown }).cause : given
  const docsUrl = `${DOCS}/${error._tag}.md`
  const own = { message, retryable, retryAfterMs, ...details, docsUrl }
  const toJSON = () => Object.assign({}, error, own, { cause: undefined })
  const cause = Object.assign(toJSON(), { cause: reason instanceof Error ? reason : undefined })
  for (const [name, value] of Object.entries({ ...details, docsUrl, message, toJSON, cause }))
    Object.defineProperty(error, name, { value, enumerable: false, configurable: true, writable: false })
  Object.defineProperty(error, reported, { value: true, enumerable: false })
  return error as Reported<E>
}

const reported = Symbol.for("@holdfast/client-sdk/reported")

/** Whether the value is an error that {@link report} returned. */
export const isReported = (error: unknown): boolean =>
  typeof error === "object" && error !== null && reported in error

/** Copies an error that several calls share because they waited for the same login, so that each reports its own. */
export const ownCopy = <E extends AnyFailure>(error: E): E => {
  const copy = Object.defineProperties(new Error(error.message), Object.getOwnPropertyDescriptors(error))
  return Object.setPrototypeOf(copy, Object.getPrototypeOf(error) as object) as E
}
