import { boundedText } from "./bounded-body.ts"
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
} from "./responses.ts"
import { makeLimiter, QueueFull } from "./limiter.ts"

interface Bounds {
  /** How many requests may be in flight at the same time; `fetch` itself opens a connection for each. */
  readonly maxConnections: number
  /** How many requests may wait for a connection. */
  readonly maxWaiting: number
  /** How long one request may take, from its permit to the last byte of its answer. */
  readonly attemptTimeoutMs: number
}

type Init = Parameters<Fetch>[1]

/** An answer of the server, in the form that tRPC's links read. Its body has been read to the end. */
interface Answer {
  readonly ok: boolean
  readonly status: number
  readonly headers: FetchResponse["headers"]
  readonly json: () => Promise<unknown>
}

/** What tRPC's links pass to `fetch`. */
interface LinkInit {
  readonly method?: string | undefined
  readonly headers?: unknown
  readonly body?: unknown
  readonly signal?: AbortSignal | null | undefined
}

/**
 * Wraps `fetch` with limits on concurrency, queue length, duration and the size of an answer, for tRPC's links. A permit
 * is released only after the whole body was read, because the connection is in use until then. Rejects with
 * {@link FetchFailure} only.
 */
export const makeBoundedFetch = (fetch: Fetch, bounds: Bounds) => {
  const limiter = makeLimiter(bounds.maxConnections, bounds.maxWaiting)

  const send = async (url: string, init: Init, onLate: () => void): Promise<Answer> => {
    const release = await limiter.acquire(init.signal)
    const timer = setTimeout(() => {
      onLate()
      free()
    }, bounds.attemptTimeoutMs)
    let isHeld = true
    const free = () => {
      if (!isHeld) return
      isHeld = false
      clearTimeout(timer)
      // Node returns a connection to its pool shortly after the body ends. Releasing the permit before that would open
      // another connection, up to twice as many.
      if (limiter.isContended()) setTimeout(release)
      else release()
    }
    try {
      return await exchange(fetch, url, init)
    } finally {
      free()
    }
  }

  return (url: unknown, { body, headers, method = "GET", signal }: LinkInit = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      // Its abort ends the exchange even if `fetch` ignores its signal.
      const controller = new AbortController()
      const end = (failure: FetchFailure) => {
        controller.abort(failure)
        reject(failure)
      }
      const cancel = () => end(cancelled())
      if (signal?.aborted) return cancel()
      signal?.addEventListener("abort", cancel, { once: true })
      const settled = () => signal?.removeEventListener("abort", cancel)
      const init = {
        method,
        headers: headers as Record<string, string>,
        ...(typeof body === "string" ? { body } : {}),
        signal: controller.signal,
        redirect: "manual"
      } as const
      send(String(url), init, () => end(late())).then(
        (answer) => {
          settled()
          resolve(answer)
        },
        (cause: unknown) => {
          settled()
          reject(fetchFailureOf(cause))
        }
      )
    })
}

/** The failure for anything that goes wrong between a request and its answer. */
const fetchFailureOf = (cause: unknown): FetchFailure => {
  if (cause instanceof FetchFailure) return cause
  return cause instanceof QueueFull
    ? new FetchFailure({ reason: "overloaded", maybeSent: false, retryable: true, cause })
    : broken(cause)
}

const cancelled = () => new FetchFailure({ reason: "connection-lost", maybeSent: true, retryable: false })

/** Returns the response's JSON whatever its status: an error response is an answer, too. */
const exchange = async (fetch: Fetch, url: string, init: Init): Promise<Answer> => {
  const response = await fetch(url, init)
  const { headers, ok, status } = response
  refuseRedirect(response)
  const body = await boundedText(response)
  if (!isJson(headers.get("content-type"))) throw unexpected(response)
  const json = parse(body)
  return { ok, status, headers, json: () => Promise.resolve(json) }
}
