import type { TransportReason } from "../errors.ts"

/** The subset of the standard `fetch` that the client needs. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: string
    readonly signal: AbortSignal
    readonly redirect: "manual"
  }
) => Promise<FetchResponse>

/** The subset of the standard `Response` that the client needs. */
export interface FetchResponse {
  readonly ok: boolean
  readonly status: number
  readonly type?: string
  readonly headers: { get: (name: string) => string | null }
  readonly text: () => Promise<string>
  readonly body: ReadableStream<Uint8Array> | null
}

/** Why a request got no usable response. */
export class FetchFailure extends Error {
  readonly reason!: TransportReason
  readonly maybeSent!: boolean
  readonly retryable!: boolean
  readonly httpStatus?: number
  readonly retryAfterMs?: number
  override readonly cause?: unknown

  constructor(fields: Omit<FetchFailure, keyof Error> & { readonly cause?: unknown }) {
    super(fields.reason)
    Object.assign(this, fields)
  }
}

/** The request took too long. */
export const late = () => new FetchFailure({ reason: "timeout", maybeSent: true, retryable: true })

/**
 * A redirect is not followed: another origin would receive the token, or the password of a login. (A browser hides where
 * it leads.)
 */
export const refuseRedirect = ({ headers, status, type }: FetchResponse): void => {
  if (type !== "opaqueredirect" && (status < 300 || status > 399)) return
  const location = headers.get("location")?.split(/[?#]/, 1)[0]
  const detail = `the server redirects${location === undefined ? "" : ` to ${location}`}; give the client its final url`
  throw new FetchFailure({
    reason: "unexpected-response",
    maybeSent: true,
    retryable: false,
    ...(status === 0 ? {} : { httpStatus: status }),
    cause: new Error(detail)
  })
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
export const unexpected = (
  { headers, status }: Pick<FetchResponse, "headers" | "status">,
  cause?: unknown
): FetchFailure => {
  const retryAfterSeconds = Number(headers.get("retry-after") ?? Number.NaN)
  return new FetchFailure({
    reason: "unexpected-response",
    maybeSent: true,
    retryable: temporaryStatuses.has(status),
    httpStatus: status,
    ...(Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1000 } : {}),
    ...(cause === undefined ? {} : { cause })
  })
}
