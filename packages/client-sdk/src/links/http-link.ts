import { API_VERSION, REQUEST_BOUNDS } from "@holdfast/domain"
import type { Operation } from "@trpc/client"
import { httpBatchLink } from "@trpc/client/links/httpBatchLink"
import { httpLink } from "@trpc/client/links/httpLink"
import { defaultRetryPolicy } from "../retry.ts"
import { once } from "../once.ts"
import { randomId } from "../random-id.ts"
import { makeBoundedFetch } from "../transport/bounded-fetch.ts"
import type { Fetch } from "../transport/responses.ts"
import { serverUrl } from "../server-url.ts"
import { callOf, type HoldfastLink, procedureAt } from "./call.ts"
import { ApplicationFault } from "./failure.ts"
import { subscriptionLink } from "./subscription-link.ts"

/** Names and values of HTTP headers. */
export type Headers = Readonly<Record<string, string>>

/** The options of {@link holdfastHttpLink}. */
export interface HttpLinkOptions {
  /** The server's URL, `http://localhost:3000` for instance. */
  readonly url: string
  /** Replaces the global `fetch`. */
  readonly fetch?: Fetch | undefined
  /** Additional headers for every request. */
  readonly headers?: Headers | (() => Headers | Promise<Headers>) | undefined
  /** How many requests may be in flight at the same time, each on its own connection. Default: 32. */
  readonly maxConnections?: number | undefined
  /** How many requests may wait for a connection before further calls fail as `overloaded`. Default: 10,000. */
  readonly maxWaiting?: number | undefined
  /** How long one request may take, in milliseconds. Default: 10,000. */
  readonly attemptTimeoutMs?: number | undefined
}

/**
 * The link that sends, over a bounded number of connections: tRPC's `httpBatchLink` for queries that start together,
 * `httpLink` for everything else that answers once, and `httpSubscriptionLink` for subscriptions. It follows no redirect
 * and reads no answer without end.
 */
export const holdfastHttpLink = (options: HttpLinkOptions): HoldfastLink => {
  const url = `${serverUrl(options.url)}/trpc`
  const send: Fetch = options.fetch ?? ((address, init) => globalThis.fetch(address, init))
  const attemptTimeoutMs = options.attemptTimeoutMs ?? defaultRetryPolicy.attemptTimeoutMs
  const headersOf = makeHeaders(options.headers)
  const fetch = makeBoundedFetch(send, {
    maxConnections: options.maxConnections ?? 32,
    maxWaiting: options.maxWaiting ?? 10_000,
    attemptTimeoutMs
  })
  const batch = httpBatchLink({ url, fetch, headers: ({ opList }) => headersOf(opList) })
  const single = httpLink({ url, fetch, headers: ({ op }) => headersOf([op]) })
  const subscribe = subscriptionLink({
    url,
    fetch: send,
    headersOf: (op) => headersOf([op]),
    attemptTimeoutMs
  })
  return (runtime) => {
    const [alone, subscribed] = [single(runtime), subscribe(runtime)]
    const nextBatch = makeBatches(() => batch(runtime))
    return (request) => {
      if (request.op.type === "subscription") return subscribed(request)
      return mayShare(request.op) ? nextBatch()(request) : alone(request)
    }
  }
}

/**
 * Returns the batch for the next call: a new one in every turn of the event loop, and when one is full. tRPC's own
 * `maxItems` writes the URL of the whole batch for each of its calls.
 */
const makeBatches = <Batch>(makeBatch: () => Batch) => {
  let batch: Batch
  let free = 0
  return (): Batch => {
    if (free === 0) {
      batch = makeBatch()
      free = REQUEST_BOUNDS.calls
      const started = batch
      setTimeout(() => {
        if (batch === started) free = 0
      })
    }
    free -= 1
    return batch
  }
}

/** A batch of twenty inputs of this length, in characters of its URL, stays below what servers and proxies accept. */
const SHARED_INPUT_LENGTH = 330

/** Whether a call may share a request with others. Mutations never do. */
const mayShare = (op: Operation): boolean =>
  op.type === "query" &&
  procedureAt(op.path)?.batchable !== false &&
  callOf(op)?.headers === undefined &&
  isShort(JSON.stringify(op.input) ?? "")

/** A character takes nine in a URL at most. */
const isShort = (input: string): boolean =>
  input.length * 9 <= SHARED_INPUT_LENGTH || encodeURIComponent(input).length <= SHARED_INPUT_LENGTH

/** A browser names itself, and other origins would have to allow the header. */
const ownHeaders = once(() => {
  const { navigator } = globalThis as { readonly navigator?: { readonly userAgent?: string } }
  const isBrowser = navigator?.userAgent?.startsWith("Mozilla/") === true
  return {
    [API_VERSION.header]: API_VERSION.number,
    ...(isBrowser ? {} : { "user-agent": `holdfast-client-sdk (api ${API_VERSION.number})` })
  }
})

/** The headers of one HTTP request, which all calls in it share: who asks, under which id and key, and what the application adds. */
const makeHeaders = (given: HttpLinkOptions["headers"] = {}) => {
  const headersWith = (ops: ReadonlyArray<Operation>, added: Headers): Record<string, string> => {
    const calls = ops.flatMap((op) => callOf(op) ?? [])
    const [first] = calls
    const token = calls.findLast((call) => call.token !== undefined)?.token
    const requestId = randomId()
    for (const call of calls) Object.assign(call, { requestId, sentToken: token })
    return {
      ...ownHeaders(),
      ...added,
      ...first?.headers,
      "x-request-id": requestId,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(first?.key === undefined ? {} : { "idempotency-key": first.key }),
      ...(first?.lastEventId === undefined ? {} : { "last-event-id": first.lastEventId })
    }
  }
  if (typeof given !== "function") return (ops: ReadonlyArray<Operation>) => headersWith(ops, given)
  return async (ops: ReadonlyArray<Operation>) => {
    try {
      return headersWith(ops, await given())
    } catch (cause) {
      throw new ApplicationFault(cause)
    }
  }
}
