import {
  broken,
  type Fetch,
  FetchFailure,
  type FetchResponse,
  isJson,
  parse,
  unexpected,
  within
} from "./boundedFetch.ts"
import { serverSentEvents } from "./serverSentEvents.ts"
import type { StreamItem, StreamRequest } from "./Transport.ts"
import { transportErrorOf, wireError } from "./wire.ts"

interface StreamOptions {
  /** The tRPC endpoint. */
  readonly url: string
  readonly fetch: Fetch
  readonly headers: () => Record<string, string> | Promise<Record<string, string>>
}

/** tRPC's events besides the answers, which are plain messages. */
const ERROR_EVENT = "serialized-error"
const END_EVENT = "return"

/**
 * One connection of a tRPC subscription over server-sent events. It takes no turn of the bounded connections: it stays,
 * and would keep its turn from all others.
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
    const response = await within(request.timeoutMs, controller.signal, () =>
      connect(options, request, controller.signal)
    )
    if (isJson(response.headers.get("content-type"))) {
      yield refusal(parse(await response.text()))
      return
    }
    if (!response.ok || response.body === null) throw unexpected(response)
    yield* itemsOf(response.body)
  } catch (cause) {
    throw transportErrorOf(request.procedure, cause instanceof FetchFailure ? cause : broken(cause))
  } finally {
    signal.removeEventListener("abort", abort)
    controller.abort()
  }
}

const connect = async (
  { fetch, headers, url }: StreamOptions,
  { input, lastEventId, onRequestId, procedure, token }: StreamRequest,
  signal: AbortSignal
): Promise<FetchResponse> => {
  const requestId = crypto.randomUUID()
  onRequestId(requestId)
  return fetch(`${url}/${procedure}?input=${encodeURIComponent(JSON.stringify(input))}`, {
    method: "GET",
    headers: {
      ...(await headers()),
      accept: "text/event-stream",
      "x-request-id": requestId,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
    },
    signal
  })
}

async function* itemsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamItem, void, undefined> {
  for await (const { data, event, id } of serverSentEvents(body)) {
    if (event === END_EVENT) return
    if (event === ERROR_EVENT) return yield refusal({ error: parse(data) })
    if (event === "message") yield { ok: true, output: parse(data), id }
  }
  throw new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: true })
}

const refusal = (answer: unknown): StreamItem => {
  const { error } = answer as {
    readonly error: { readonly message: string; readonly data: Record<string, unknown> }
  }
  return { ok: false, error: wireError(error.message, error.data) }
}
