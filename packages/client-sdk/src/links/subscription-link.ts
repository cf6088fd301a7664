import type { Operation } from "@trpc/client"
import { observable } from "@trpc/server/observable"
import type { EventSource, EventSourceFetchInit } from "eventsource"
import { boundedEvents, boundedText } from "../transport/bounded-body.ts"
import {
  broken,
  type Fetch,
  FetchFailure,
  type FetchResponse,
  isJson,
  late,
  parse,
  refuseRedirect,
  unexpected
} from "../transport/responses.ts"
import { callOf, type HoldfastLink, noteAlive } from "./call.ts"
import { abortOf, ApplicationFault, type ClientError } from "./failure.ts"

interface SubscriptionLinkOptions {
  /** The tRPC endpoint. */
  readonly url: string
  readonly fetch: Fetch
  readonly headersOf: (op: Operation) => Record<string, string> | Promise<Record<string, string>>
  /** How long a connection may take to begin. */
  readonly attemptTimeoutMs: number
}

/**
 * tRPC's `httpSubscriptionLink` over the `eventsource` ponyfill, which can send headers. A connection that breaks is an
 * error here: `retryLink` reopens it by the client's policy. It needs no permit of the bounded connections, because a
 * long-lived connection would block all other requests.
 */
export const subscriptionLink =
  (options: SubscriptionLinkOptions): HoldfastLink =>
  (runtime) =>
  ({ next, op }) =>
    observable((observer) => {
      let connection: { readonly unsubscribe: () => void } | undefined
      let hasLeft = false
      let cause: unknown
      const connect = (loaded: typeof import("./event-source.ts")) => {
        if (hasLeft) return
        const { EventSource, httpSubscriptionLink, TRPCClientError } = loaded
        const fail = (error: unknown) =>
          observer.error(TRPCClientError.from(endOf(cause, error as ClientError) as Error))
        const link = httpSubscriptionLink({
          url: options.url,
          EventSource: sourceOf(EventSource, op),
          eventSourceOptions: {
            fetch: (address: string | URL, init: EventSourceFetchInit) =>
              openStream(options, op, String(address), init, (failure) => (cause ??= failure))
          }
        })
        connection = link(runtime)({ op, next }).subscribe({
          next: (envelope) => {
            const { result } = envelope
            if (result.type === "state" && result.error) fail(result.error)
            else observer.next(envelope)
          },
          error: fail,
          complete: () => observer.complete()
        })
      }
      // Few pages subscribe, and React Native has no `EventTarget`, which an event source needs.
      import("./event-source.ts").then(connect, (fault: unknown) => observer.error(abortOf(fault)))
      return () => {
        hasLeft = true
        connection?.unsubscribe()
      }
    })

/** An event source that notes the server's pings, of which tRPC's link says nothing. */
const sourceOf = (Source: typeof EventSource, op: Operation): typeof EventSource =>
  class extends Source {
    constructor(url: string | URL, init?: ConstructorParameters<typeof EventSource>[1]) {
      super(url, init)
      const call = callOf(op)
      if (call !== undefined) this.addEventListener("ping", () => noteAlive(call))
    }
  }

/** Why a connection ended: what went wrong below the event source, the server's error, or a broken connection. */
const endOf = (cause: unknown, error: ClientError): unknown => {
  if (cause !== undefined || error.shape != null) return cause ?? error
  return error.message.startsWith("Timeout of ") ? late() : broken(error)
}

/**
 * Opens the stream of one connection. The event source would hide the answer of a server that refuses, so it is passed
 * to `onEnd`, like every other failure. The first cause is the one that counts.
 */
const openStream = async (
  { attemptTimeoutMs, fetch, headersOf }: SubscriptionLinkOptions,
  op: Operation,
  url: string,
  init: EventSourceFetchInit,
  onEnd: (cause: unknown) => void
) => {
  const controller = new AbortController()
  const leave = () => controller.abort()
  init.signal?.addEventListener("abort", leave, { once: true })
  try {
    const headers = { ...(await headersOf(op)), accept: "text/event-stream" }
    const request = { method: "GET", headers, signal: controller.signal, redirect: "manual" } as const
    const response = await within(attemptTimeoutMs, fetch(url, request), leave)
    refuseRedirect(response)
    if (isJson(response.headers.get("content-type"))) {
      onEnd(parse(await boundedText(response)))
      throw new Error("the server refused the subscription")
    }
    const { body } = response
    if (!response.ok || body === null) throw unexpected(response)
    return streamOf(response, body.pipeThrough(boundedEvents(onEnd)), url)
  } catch (cause) {
    onEnd(cause instanceof FetchFailure || cause instanceof ApplicationFault ? cause : broken(cause))
    throw cause
  }
}

const streamOf = ({ headers, status }: FetchResponse, body: ReadableStream<Uint8Array>, url: string) => ({
  body,
  url,
  status,
  redirected: false,
  headers
})

/** Resolves like the promise, or rejects and leaves if it takes too long. */
const within = <A>(timeoutMs: number, promise: Promise<A>, leave: () => void): Promise<A> =>
  new Promise<A>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(late())
      leave()
    }, timeoutMs)
    void promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
