import {
  broken,
  type Fetch,
  FetchFailure,
  type FetchResponse,
  isJson,
  parse,
  late,
  unexpected
} from "./bounded-fetch.ts"
import { serverSentEvents } from "./server-sent-events.ts"
import type { StreamItem, StreamRequest } from "./transport.ts"
import { encodedInput, identityHeaders, transportErrorOf, wireError } from "./wire.ts"

interface StreamOptions {
  /** The tRPC endpoint. */
  readonly url: string
  readonly fetch: Fetch
  readonly headers: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>
}

/** tRPC's event names. Answers are plain messages without one. */
const CONNECTED_EVENT = "connected"
const ERROR_EVENT = "serialized-error"
const END_EVENT = "return"

/**
 * Opens one connection of a tRPC subscription over server-sent events. It needs no permit of the bounded connections,
 * because a long-lived connection would block all other requests.
 */
export async function* openStream(
  options: StreamOptions,
  request: StreamRequest,
  signal: AbortSignal
): AsyncGenerator<StreamItem, void, undefined> {
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  signal.addEventListener("abort", abort, { once: true })
  try {
    const response = await within(
      request.timeoutMs,
      controller.signal,
      connect(options, request, controller.signal)
    )
    if (isJson(response.headers.get("content-type"))) {
      yield refusal(parse(await response.text()))
      return
    }
    if (!response.ok || response.body === null) throw unexpected(response)
    yield* itemsOf(response.body, request.onAlive, (failure) => controller.abort(failure))
  } catch (cause) {
    // The reason of the abort explains the end better than the error that it caused.
    const reason: unknown = controller.signal.aborted ? controller.signal.reason : cause
    throw transportErrorOf(request.procedure, reason instanceof FetchFailure ? reason : broken(reason))
  } finally {
    signal.removeEventListener("abort", abort)
    controller.abort()
  }
}

/** Resolves like the promise, or rejects if it takes too long or the signal is aborted. */
const within = <A>(timeoutMs: number, signal: AbortSignal, promise: Promise<A>): Promise<A> =>
  new Promise<A>((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), timeoutMs)
    const leave = () => reject(signal.reason as Error)
    signal.addEventListener("abort", leave, { once: true })
    void promise.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener("abort", leave)
    })
  })

const connect = async (
  { fetch, headers, url }: StreamOptions,
  request: StreamRequest,
  signal: AbortSignal
): Promise<FetchResponse> => {
  const { lastEventId, onRequestId, procedure, token } = request
  const requestId = crypto.randomUUID()
  onRequestId(requestId)
  return fetch(`${url}/${procedure}?input=${encodedInput(request)}`, {
    method: "GET",
    headers: {
      ...(await headers()),
      accept: "text/event-stream",
      ...identityHeaders(requestId, token),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
    },
    signal
  })
}

async function* itemsOf(
  body: ReadableStream<Uint8Array>,
  onAlive: () => void,
  end: (failure: FetchFailure) => void
): AsyncGenerator<StreamItem, void, undefined> {
  const silence = watchSilence(end)
  try {
    for await (const { data, event, id } of serverSentEvents(body)) {
      silence.end()
      if (event === END_EVENT) return
      if (event === ERROR_EVENT) return yield refusal({ error: parse(data) })
      if (event === CONNECTED_EVENT) silence.allow(longestSilenceMs(parse(data)))
      else onAlive()
      if (event === "message") yield { ok: true, output: parse(data), id }
      silence.begin()
    }
  } finally {
    silence.end()
  }
  throw new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: true })
}

/** The longest silence that the server announces. A connection that is silent for longer is dead. */
const longestSilenceMs = (connected: unknown): number | undefined => {
  const { reconnectAfterInactivityMs } = connected as { readonly reconnectAfterInactivityMs?: unknown }
  return typeof reconnectAfterInactivityMs === "number" ? reconnectAfterInactivityMs : undefined
}

/** Measures only the time spent waiting for the server, so that a slow reader does not end the connection. */
const watchSilence = (onTooLong: (failure: FetchFailure) => void) => {
  let allowedMs: number | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    allow: (ms: number | undefined) => void (allowedMs = ms),
    begin: () => {
      if (allowedMs === undefined) return
      timer = setTimeout(() => onTooLong(late()), allowedMs)
    },
    end: () => clearTimeout(timer)
  }
}

const refusal = (answer: unknown): StreamItem => {
  const { error } = answer as {
    readonly error: { readonly message: string; readonly data: Record<string, unknown> }
  }
  return { ok: false, error: wireError(error.message, error.data) }
}
