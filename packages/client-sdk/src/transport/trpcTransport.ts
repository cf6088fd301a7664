import {
  createTRPCUntypedClient,
  httpBatchLink,
  httpLink,
  type Operation,
  splitLink,
  TRPCClientError
} from "@trpc/client"
import { Effect } from "effect"
import { TransportError } from "../errors.ts"
import { type Fetch, makeBoundedFetch } from "./boundedFetch.ts"
import { text, transportErrorOf, wireError } from "./wire.ts"
import { openStream } from "./openStream.ts"
import type { Transport, TransportReply, TransportRequest } from "./Transport.ts"

export interface TrpcTransportOptions {
  /** Where the server is, `http://localhost:3000` for instance; its tRPC endpoint is `/trpc` below. */
  readonly url: string
  readonly fetch: Fetch
  readonly headers: () => Record<string, string> | Promise<Record<string, string>>
  readonly attemptTimeoutMs: number
  readonly maxConnections: number
  readonly maxWaiting: number
}

/** What a request leaves behind while it travels through tRPC's links. */
interface Trace {
  readonly request: TransportRequest
  sentToken: string | undefined
}

/** Queries that start together travel together; beyond these bounds they fill another request. */
const BATCH = { items: 20, urlLength: 8000 } as const

/** The only place that knows tRPC: queries in batches, mutations and actions one by one, over a bounded `fetch`. */
export const makeTrpcTransport = (options: TrpcTransportOptions): Transport => {
  const boundedFetch = makeBoundedFetch(options.fetch, options)
  const link = {
    url: `${options.url.replace(/\/+$/, "")}/trpc`,
    // tRPC types `fetch` loosely; it calls it with exactly these: a URL, a method, headers, text, a signal.
    fetch: (url: unknown, init: unknown) =>
      boundedFetch(String(url), init as Parameters<typeof boundedFetch>[1])
  }
  const headersOf = async (operations: ReadonlyArray<Operation>) => ({
    ...(await options.headers()),
    ...traceHeaders(operations.map((operation) => operation.context["trace"] as Trace))
  })
  const client = createTRPCUntypedClient({
    links: [
      splitLink({
        condition: ({ type }) => type === "query",
        true: httpBatchLink({
          ...link,
          headers: ({ opList }) => headersOf(opList),
          maxItems: BATCH.items,
          maxURLLength: BATCH.urlLength
        }),
        false: httpLink({ ...link, headers: ({ op }) => headersOf([op]) })
      })
    ]
  })

  const exchange = (trace: Trace, signal: AbortSignal) => {
    const { input, kind, procedure } = trace.request
    const call = { signal, context: { trace } }
    return kind === "query" ? client.query(procedure, input, call) : client.mutation(procedure, input, call)
  }

  return {
    open: (request, signal) => openStream({ ...options, url: link.url }, request, signal),
    send: (request) =>
      Effect.callback<TransportReply, TransportError>((resume) => {
        const trace: Trace = { request, sentToken: request.token }
        const controller = new AbortController()
        const timer = setTimeout(() => {
          resume(Effect.fail(lateAnswer(request)))
          controller.abort()
        }, request.timeoutMs)
        exchange(trace, controller.signal)
          .then(
            (output) => resume(Effect.succeed(accepted(output, trace))),
            (error: unknown) => resume(replyOrFailure(error, trace))
          )
          .finally(() => clearTimeout(timer))
        return Effect.sync(() => {
          clearTimeout(timer)
          controller.abort()
        })
      })
  }
}

const lateAnswer = ({ procedure }: TransportRequest) =>
  new TransportError({ procedure, reason: "timeout", maybeSent: true, retryable: true })

/** The headers of one HTTP request, shared by all calls that travel with it. */
const traceHeaders = (traces: ReadonlyArray<Trace>): Record<string, string> => {
  const requestId = crypto.randomUUID()
  const token = traces.findLast(({ request }) => request.token !== undefined)?.request.token
  const idempotencyKey = traces[0]?.request.idempotencyKey
  for (const trace of traces) {
    trace.sentToken = token
    trace.request.onRequestId(requestId)
  }
  return {
    "x-request-id": requestId,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey })
  }
}

const accepted = (output: unknown, { sentToken }: Trace): TransportReply => ({
  ok: true,
  output,
  meta: { sentToken }
})

/** An error response is an answer too. */
const replyOrFailure = (
  error: unknown,
  { request, sentToken }: Trace
): Effect.Effect<TransportReply, TransportError> => {
  if (!(error instanceof TRPCClientError) || error.shape === undefined || error.shape === null)
    return Effect.fail(noAnswer(request.procedure, error))
  const data = (error.data ?? {}) as Record<string, unknown>
  const requestId = text(data["requestId"])
  if (requestId !== undefined) request.onRequestId(requestId)
  return Effect.succeed({ ok: false, error: wireError(error.message, data), meta: { sentToken } })
}

const noAnswer = (procedure: string, error: unknown): TransportError =>
  transportErrorOf(procedure, error instanceof TRPCClientError ? error.cause : error)
