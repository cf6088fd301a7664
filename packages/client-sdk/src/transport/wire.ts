import { TransportError } from "../errors.ts"
import { FetchFailure, type Message } from "./bounded-fetch.ts"
import type { ReplyMeta, TransportReply, TransportRequest, WireError } from "./transport.ts"

/** The input of a query as it appears in the URL. */
export const encodedInput = ({ input }: Pick<TransportRequest, "input">): string =>
  encodeURIComponent(JSON.stringify(input))

/**
 * Builds the HTTP request of one call or of a batch of queries in tRPC's format (https://trpc.io/docs/rpc). A query is
 * a GET request with its input in the URL; anything else is a POST request.
 */
export const messageOf = (
  url: string,
  requests: ReadonlyArray<TransportRequest>,
  headers: Readonly<Record<string, string>>
): Message => {
  const path = requests.map(({ procedure }) => procedure).join(",")
  const [first] = requests
  if (first !== undefined && first.kind !== "query") {
    const withType = { ...headers, "content-type": "application/json" }
    return { url: `${url}/${path}`, method: "POST", headers: withType, body: JSON.stringify(first.input) }
  }
  if (first !== undefined && requests.length === 1)
    return { url: `${url}/${path}?input=${encodedInput(first)}`, method: "GET", headers }
  const input = Object.fromEntries(requests.map((request, index) => [index, request.input]))
  return { url: `${url}/${path}?batch=1&input=${encodedInput({ input })}`, method: "GET", headers }
}

/** The headers that identify a request and its caller. */
export const identityHeaders = (requestId: string, token: string | undefined): Record<string, string> => ({
  "x-request-id": requestId,
  ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
})

/** Parses tRPC's answer to one call. Returns a failure if it is not an answer of tRPC. */
export const replyOf = (answer: unknown, meta: ReplyMeta): TransportReply | FetchFailure => {
  const { error, result } = (answer ?? {}) as {
    readonly result?: { readonly data?: unknown }
    readonly error?: { readonly message?: unknown; readonly data?: unknown }
  }
  if (result !== undefined) return { ok: true, output: result.data, meta }
  if (typeof error?.message === "string")
    return { ok: false, error: wireError(error.message, (error.data ?? {}) as Record<string, unknown>), meta }
  return new FetchFailure({ reason: "unexpected-response", maybeSent: true, retryable: false })
}

/** Parses tRPC's error: its message and its `data`. */
export const wireError = (message: string, data: Record<string, unknown>): WireError => ({
  message,
  requestId: text(data["requestId"]),
  code: text(data["code"]) ?? "UNKNOWN",
  httpStatus: number(data["httpStatus"]),
  retryable: data["retryable"] === true,
  retryAfterMs: number(data["retryAfterMs"]),
  domain: data["domain"]
})

const text = (value: unknown) => (typeof value === "string" ? value : undefined)
const number = (value: unknown) => (typeof value === "number" ? value : undefined)

/** The error of a request that got no answer. */
export const transportErrorOf = (procedure: string, failure: FetchFailure): TransportError => {
  const { httpStatus, maybeSent, reason, retryable, retryAfterMs } = failure
  const fields = { procedure, reason, maybeSent, retryable, httpStatus, retryAfterMs }
  return new TransportError({ ...fields, cause: failure.cause })
}
