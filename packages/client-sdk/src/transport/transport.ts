import type { ProcedureKind } from "@holdfast/domain"

/** One request of one call. `procedure` is its dotted name, `orders.create` for instance; `input` is plain JSON. */
export interface TransportRequest {
  readonly procedure: string
  readonly kind: ProcedureKind
  readonly input: unknown
  readonly token: string | undefined
  readonly idempotencyKey: string | undefined
  /** More headers, for this request alone. */
  readonly headers: Readonly<Record<string, string>> | undefined
  /** How long the answer may take, the wait for a connection included. */
  readonly timeoutMs: number
  /** Told the id under which the request goes out, so that it is known also when nothing comes back. */
  readonly onRequestId: (requestId: string) => void
}

/** The server's answer: the encoded output, or an error as the server wrote it. */
export type TransportReply =
  | { readonly ok: true; readonly output: unknown; readonly meta: ReplyMeta }
  | { readonly ok: false; readonly error: WireError; readonly meta: ReplyMeta }

export interface ReplyMeta {
  /**
   * The token that the request really carried. Calls that travel together share one, so it may be another than the
   * request asked for.
   */
  readonly sentToken: string | undefined
}

/** An error response. `domain` is the encoded tagged error when the procedure declares it. */
export interface WireError {
  readonly message: string
  /** As the server names the request; a proxy may have given it another name. */
  readonly requestId: string | undefined
  readonly code: string
  readonly httpStatus: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined
  readonly domain: unknown
}

/** One connection of a subscription. */
export interface StreamRequest {
  readonly procedure: string
  readonly input: unknown
  readonly token: string | undefined
  /** Where an earlier connection ended, so that this one goes on from there. */
  readonly lastEventId: string | undefined
  /** How long it may take until the first bytes are there. */
  readonly timeoutMs: number
  readonly onRequestId: (requestId: string) => void
  /** Told of every sign of life after the first, so that a connection without news is known to be a good one. */
  readonly onAlive: () => void
}

/** What arrives on it: an encoded output, or the error that ends it. */
export type StreamItem =
  | { readonly ok: true; readonly output: unknown; readonly id: string | undefined }
  | { readonly ok: false; readonly error: WireError }

/** A request that is on its way. */
export interface Sending {
  /** Rejects with `TransportError`, or with what the program's own function for the headers threw. */
  readonly reply: Promise<TransportReply>
  /** Nobody waits for the reply any more: takes the request back. The reply never comes then. */
  readonly cancel: () => void
}

/** Sends requests. The rest of the client knows nothing of tRPC or HTTP, only this. */
export interface Transport {
  readonly send: (request: TransportRequest) => Sending
  /** Ends when the server has nothing more to say; throws `TransportError` when the connection does not last until then. */
  readonly open: (request: StreamRequest, signal: AbortSignal) => AsyncIterable<StreamItem>
}
