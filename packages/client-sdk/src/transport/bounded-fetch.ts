import { Data } from "effect"
import type { TransportReason } from "../errors.ts"
import { isNeverConnected } from "./never-connected.ts"
import { makeTurns, TooManyWaiting } from "./turns.ts"

/** The part of the standard `fetch` that the client needs; the global one of browsers, workers and Node has it. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: string
    readonly signal: AbortSignal
  }
) => Promise<FetchResponse>

export interface FetchResponse {
  readonly ok: boolean
  readonly status: number
  readonly headers: { get: (name: string) => string | null }
  readonly text: () => Promise<string>
  readonly body: ReadableStream<Uint8Array> | null
}

/** Why there is no such response. */
export class FetchFailure extends Data.TaggedError("FetchFailure")<{
  readonly reason: TransportReason
  readonly maybeSent: boolean
  readonly retryable: boolean
  readonly httpStatus?: number
  readonly retryAfterMs?: number
  readonly cause?: unknown
}> {}

interface Bounds {
  /** How many requests are on their way at once; `fetch` itself would open a connection for each. */
  readonly maxConnections: number
  /** How many more may wait for their turn. */
  readonly maxWaiting: number
  /** How long one request may take, from its turn to the last byte of its answer. */
  readonly attemptTimeoutMs: number
}

type Init = Parameters<Fetch>[1]

/** An HTTP request. */
export type Message = Omit<Init, "signal"> & { readonly url: string }

/** An exchange with the server that can be taken back. */
export interface Exchange {
  /** The JSON of the answer. Rejects with {@link FetchFailure} alone. */
  readonly answer: Promise<unknown>
  /** Nobody waits for the answer any more. */
  readonly cancel: () => void
}

/**
 * `fetch` with bounds: so many requests at a time, so many waiting, so long each. Reads the whole body before it
 * gives the turn away, because the connection is in use until then.
 */
export const makeBoundedFetch = (fetch: Fetch, bounds: Bounds) => {
  const turns = makeTurns(bounds.maxConnections, bounds.maxWaiting)

  const asLeader = async ({ url, ...init }: Message, signal: AbortSignal, onLate: () => void) => {
    const giveBack = await turns.take(signal)
    const timer = setTimeout(onLate, bounds.attemptTimeoutMs)
    try {
      return await exchange(fetch, url, { ...init, signal })
    } finally {
      clearTimeout(timer)
      // Node returns a connection to its pool a moment after the body's end; a turn that is handed on within that
      // moment would open another connection, up to twice as many.
      if (turns.isContended()) setTimeout(giveBack)
      else giveBack()
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
      asLeader(message, controller.signal, () => end(late())).then(resolve, (cause: unknown) =>
        reject(failureOf(cause))
      )
    })
    return { answer, cancel }
  }
}

const failureOf = (cause: unknown): FetchFailure => {
  if (cause instanceof FetchFailure) return cause
  return cause instanceof TooManyWaiting
    ? new FetchFailure({ reason: "overloaded", maybeSent: false, retryable: true, cause })
    : broken(cause)
}

export const late = () => new FetchFailure({ reason: "timeout", maybeSent: true, retryable: true })
const cancelled = () => new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: false })

/** The JSON that came back, whatever the status: an error response is an answer, too. */
const exchange = async (fetch: Fetch, url: string, init: Init): Promise<unknown> => {
  const response = await fetch(url, init)
  const body = await response.text()
  if (!isJson(response.headers.get("content-type"))) throw unexpected(response)
  return parse(body)
}

export const isJson = (contentType: string | null) => contentType?.includes("application/json") ?? false

/** A body that stops half-way without an error of the connection: a server that died behind a proxy, for instance. */
export const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: true, cause })
  }
}

export const broken = (cause: unknown) => {
  const neverConnected = isNeverConnected(cause)
  return new FetchFailure({
    reason: neverConnected ? "unreachable" : "connection-lost",
    maybeSent: !neverConnected,
    retryable: true,
    cause
  })
}

/** The statuses by which proxies and gateways say "not now". */
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504])

export const unexpected = ({ headers, status }: FetchResponse) => {
  const retryAfterSeconds = Number(headers.get("retry-after") ?? Number.NaN)
  return new FetchFailure({
    reason: "unexpected-response",
    maybeSent: true,
    retryable: passingStatuses.has(status),
    httpStatus: status,
    ...(Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1000 } : {})
  })
}
