import { httpSubscriptionLink, type Operation, TRPCClientError } from "@trpc/client"
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
import { ApplicationFault, type ClientError } from "./failure.ts"

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
      const connect = (Source: typeof EventSource) => {
        if (hasLeft) return
        const link = httpSubscriptionLink({
          url: options.url,
          EventSource: Source,
          eventSourceOptions: {
            fetch: (address: string | URL, init: EventSourceFetchInit) =>
              openStream(options, op, String(address), init, (failure) => (cause ??= failure))
          }
        })
        connection = link(runtime)({ op, next }).subscribe({
          next: (envelope) => {
            const { result } = envelope
            if (result.type === "state" && result.error)
              observer.error(endOf(cause, result.error as ClientError))
            else observer.next(envelope)
          },
          error: (error) => observer.error(endOf(cause, error as ClientError)),
          complete: () => observer.complete()
        })
      }
      loadEventSource(op).then(connect, (failure: unknown) =>
        observer.error(TRPCClientError.from(new ApplicationFault(failure)))
      )
      return () => {
        hasLeft = true
        connection?.unsubscribe()
      }
    })

/**
 * An event source that notes the server's pings, of which tRPC's link says nothing. Its module is loaded with the first
 * subscription, because it needs `EventTarget`, which React Native does not have.
 */
const loadEventSource = async (op: Operation): Promise<typeof EventSource> => {
  const { EventSource } = await import("eventsource")
  return class extends EventSource {
    constructor(url: string | URL, init?: ConstructorParameters<typeof EventSource>[1]) {
      super(url, init)
      const call = callOf(op)
      if (call !== undefined) this.addEventListener("ping", () => noteAlive(call))
    }
  }
}

/** Why a connection ended: what went wrong below the event source, the server's error, or a broken connection. */
const endOf = (cause: unknown, error: ClientError): ClientError => {
  if (cause instanceof Error) return TRPCClientError.from(cause)
  if (cause !== undefined) return TRPCClientError.from(cause as object)
  if (error.shape != null) return error
  return TRPCClientError.from(error.message.startsWith("Timeout of ") ? late() : broken(error))
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
