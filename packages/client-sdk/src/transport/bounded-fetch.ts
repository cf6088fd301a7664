import { Data } from "effect"
import type { TransportReason } from "../errors.ts"
import { makeLimiter, QueueFull } from "./limiter.ts"

/** The subset of the standard `fetch` that the client needs. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: string
    readonly signal: AbortSignal
  }
) => Promise<FetchResponse>

/** The subset of the standard `Response` that the client needs. */
export interface FetchResponse {
  readonly ok: boolean
  readonly status: number
  readonly headers: { get: (name: string) => string | null }
  readonly text: () => Promise<string>
  readonly body: ReadableStream<Uint8Array> | null
}

/** Why a request got no usable response. */
export class FetchFailure extends Data.TaggedError("FetchFailure")<{
  readonly reason: TransportReason
  readonly maybeSent: boolean
  readonly retryable: boolean
  readonly httpStatus?: number
  readonly retryAfterMs?: number
  readonly cause?: unknown
}> {}

interface Bounds {
  /** How many requests may be in flight at the same time; `fetch` itself opens a connection for each. */
  readonly maxConnections: number
  /** How many requests may wait for a connection. */
  readonly maxWaiting: number
  /** How long one request may take, from its permit to the last byte of its answer. */
  readonly attemptTimeoutMs: number
}

type Init = Parameters<Fetch>[1]

/** An HTTP request to send. */
export type Message = Omit<Init, "signal"> & { readonly url: string }

/** A cancellable exchange with the server. */
interface Exchange {
  /** The answer's JSON. Rejects with {@link FetchFailure} only. */
  readonly answer: Promise<unknown>
  /** Cancels the request because its answer is no longer needed. */
  readonly cancel: () => void
}

/**
 * Wraps `fetch` with limits on concurrency, queue length and duration. A permit is released only after the whole body
 * was read, because the connection is in use until then.
 */
export const makeBoundedFetch = (fetch: Fetch, bounds: Bounds) => {
  const limiter = makeLimiter(bounds.maxConnections, bounds.maxWaiting)

  const send = async ({ url, ...init }: Message, signal: AbortSignal, onLate: () => void) => {
    const release = await limiter.acquire(signal)
    const timer = setTimeout(onLate, bounds.attemptTimeoutMs)
    try {
      return await exchange(fetch, url, { ...init, signal })
    } finally {
      clearTimeout(timer)
      // Node returns a connection to its pool shortly after the body ends. Releasing the permit before that would open
      // another connection, up to twice as many.
      if (limiter.isContended()) setTimeout(release)
      else release()
    }
  }

  return (message: Message): Exchange => {
    const controller = new AbortController()
    let cancel = () => {}
    const answer = new Promise<unknown>((resolve, reject) => {
      const end = (failure: FetchFailure) => {
        controller.abort(failure)
        reject(failure)
      }
      cancel = () => end(cancelled())
      send(message, controller.signal, () => end(late())).then(resolve, (cause: unknown) =>
        reject(failureOf(cause))
      )
    })
    return { answer, cancel }
  }
}

const failureOf = (cause: unknown): FetchFailure => {
  if (cause instanceof FetchFailure) return cause
  return cause instanceof QueueFull
    ? new FetchFailure({ reason: "overloaded", maybeSent: false, retryable: true, cause })
    : broken(cause)
}

/** The request took too long. */
export const late = () => new FetchFailure({ reason: "timeout", maybeSent: true, retryable: true })
const cancelled = () => new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: false })

/** Returns the response's JSON whatever its status: an error response is an answer, too. */
const exchange = async (fetch: Fetch, url: string, init: Init): Promise<unknown> => {
  const response = await fetch(url, init)
  const body = await response.text()
  if (!isJson(response.headers.get("content-type"))) throw unexpected(response)
  return parse(body)
}

/** Whether a content type is JSON. */
export const isJson = (contentType: string | null) => contentType?.includes("application/json") ?? false

/** Parses a body. A truncated body counts as a lost connection: the server may have died behind a proxy. */
export const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: true, cause })
  }
}

/** The error codes by which Node, Bun and Deno report that no connection was made. Browsers report no such code. */
const neverConnectedCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused"
])

/** Whether an error of `fetch` proves that the server has not seen the request. */
const isNeverConnected = (error: unknown): boolean => {
  if (typeof error !== "object" || error === null) return false
  // All addresses of a host must have refused the connection.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isNeverConnected)
  if ("code" in error && typeof error.code === "string" && neverConnectedCodes.has(error.code)) return true
  return "cause" in error && isNeverConnected(error.cause)
}

/** The failure for an error of `fetch`. */
export const broken = (cause: unknown) => {
  const neverConnected = isNeverConnected(cause)
  return new FetchFailure({
    reason: neverConnected ? "unreachable" : "connection-lost",
    maybeSent: !neverConnected,
    retryable: true,
    cause
  })
}

/** The statuses by which proxies and gateways report a temporary problem. */
const temporaryStatuses: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504])

/** The failure for a response that is not Holdfast's. */
export const unexpected = ({ headers, status }: FetchResponse) => {
  const retryAfterSeconds = Number(headers.get("retry-after") ?? Number.NaN)
  return new FetchFailure({
    reason: "unexpected-response",
    maybeSent: true,
    retryable: temporaryStatuses.has(status),
    httpStatus: status,
    ...(Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1000 } : {})
  })
}
