import { REQUEST_BOUNDS } from "@holdfast/domain"
import { makeBatches } from "./batches.ts"
import { type Fetch, makeBoundedFetch } from "./bounded-fetch.ts"
import { openStream } from "./open-stream.ts"
import { PendingCall } from "./pending-call.ts"
import type { Transport, TransportRequest } from "./transport.ts"
import { encodedInput, identityHeaders, messageOf, replyOf } from "./wire.ts"

interface HttpTransportOptions {
  /** The server's URL, `http://localhost:3000` for instance. Its tRPC endpoint is `/trpc`. */
  readonly url: string
  readonly fetch: Fetch
  readonly headers: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>
  readonly attemptTimeoutMs: number
  readonly maxConnections: number
  readonly maxWaiting: number
}

/** The limits of one batch of queries. Further queries go into another request. */
const BATCH = { maxItems: REQUEST_BOUNDS.calls, maxSize: 7_000 } as const

/** Sends tRPC calls over HTTP: queries in batches, mutations and actions one by one, over a bounded `fetch`. */
export const makeHttpTransport = (options: HttpTransportOptions): Transport => {
  const url = `${options.url.replace(/\/+$/, "")}/trpc`
  const start = makeBoundedFetch(options.fetch, options)

  const exchange = async (calls: ReadonlyArray<PendingCall>): Promise<void> => {
    const requests = calls.map(({ request }) => request)
    // The calls of a batch share one token.
    const sentToken = requests.findLast(({ token }) => token !== undefined)?.token
    const headers = {
      ...(await options.headers()),
      ...requests[0]?.headers,
      ...traceHeaders(requests, sentToken)
    }
    const { answer, cancel } = start(messageOf(url, requests, headers))
    const onLeave = () => {
      if (!calls.some(({ isOpen }) => isOpen)) cancel()
    }
    for (const call of calls) call.onLeave = onLeave
    onLeave()
    const json = await answer
    calls.forEach((call, index) => deliver(call, json, index, sentToken))
  }

  const travel = (calls: ReadonlyArray<PendingCall>): void => {
    const waiting = calls.filter(({ isOpen }) => isOpen)
    if (waiting.length === 0) return
    exchange(waiting).catch((cause: unknown) => waiting.forEach((call) => call.fail(cause)))
  }

  const queries = makeBatches<PendingCall>({
    ...BATCH,
    sizeOf: ({ request }) => request.procedure.length + encodedInput(request).length,
    send: travel
  })

  return {
    open: (request, signal) => openStream({ ...options, url }, request, signal),
    send: (request) => {
      const call = new PendingCall(request)
      const mayShare = request.kind === "query" && request.batchable && request.headers === undefined
      if (mayShare) queries.add(call)
      else travel([call])
      return call
    }
  }
}

/** The headers of one HTTP request, shared by all calls in it. */
const traceHeaders = (
  requests: ReadonlyArray<TransportRequest>,
  token: string | undefined
): Record<string, string> => {
  const requestId = crypto.randomUUID()
  for (const { onRequestId } of requests) onRequestId(requestId)
  const headers = identityHeaders(requestId, token)
  const idempotencyKey = requests[0]?.idempotencyKey
  if (idempotencyKey !== undefined) headers["idempotency-key"] = idempotencyKey
  return headers
}

/** Delivers the answer to one call. A batch is answered with a list, or with one error for the whole batch. */
const deliver = (call: PendingCall, json: unknown, index: number, sentToken: string | undefined): void => {
  const reply = replyOf(Array.isArray(json) ? json[index] : json, { sentToken })
  if (reply instanceof Error) return call.fail(reply)
  if (!reply.ok && reply.error.requestId !== undefined) call.request.onRequestId(reply.error.requestId)
  call.settle(reply)
}
