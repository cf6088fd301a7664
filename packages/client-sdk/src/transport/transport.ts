import type { ProcedureKind } from "@holdfast/domain"

/** One request of a call. `procedure` is a dotted path such as `orders.create`; `input` is plain JSON. */
export interface TransportRequest {
  readonly procedure: string
  readonly kind: ProcedureKind
  /** False for a call that must not share a request with others. */
  readonly batchable: boolean
  readonly input: unknown
  readonly token: string | undefined
  readonly idempotencyKey: string | undefined
  /** Additional headers for this request only. */
  readonly headers: Readonly<Record<string, string>> | undefined
  /** How long the answer may take, including the wait for a connection. */
  readonly timeoutMs: number
  /** Receives the id of the request before it is sent, so that it is known even without an answer. */
  readonly onRequestId: (requestId: string) => void
}

/** The server's answer: the encoded output or the encoded error. */
export type TransportReply =
  | { readonly ok: true; readonly output: unknown; readonly meta: ReplyMeta }
  | { readonly ok: false; readonly error: WireError; readonly meta: ReplyMeta }

/** Details of the HTTP request that carried a call. */
export interface ReplyMeta {
  /** The token that was sent. The calls of a batch share one, so it may differ from the token of this request. */
  readonly sentToken: string | undefined
}

/** An error response. `domain` is the encoded tagged error if the procedure declares it. */
export interface WireError {
  readonly message: string
  /** The server's id of the request, which a proxy may have changed. */
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
  /** The last event of the previous connection, after which this one continues. */
  readonly lastEventId: string | undefined
  /** How long the connection may take to deliver its first bytes. */
  readonly timeoutMs: number
  readonly onRequestId: (requestId: string) => void
  /** Called on every event after the first one, so that a quiet connection is known to work. */
  readonly onAlive: () => void
}

/** What a stream delivers: an encoded output, or the error that ends it. */
export type StreamItem =
  | { readonly ok: true; readonly output: unknown; readonly id: string | undefined }
  | { readonly ok: false; readonly error: WireError }

/** A request in flight. */
export interface Sending {
  /** Rejects with `TransportError`, or with what the application's `headers` function threw. */
  readonly reply: Promise<TransportReply>
  /** Cancels the request. The reply then never settles. */
  readonly cancel: () => void
}

/** Sends requests. It hides tRPC and HTTP from the rest of the client. */
export interface Transport {
  readonly send: (request: TransportRequest) => Sending
  /** Ends when the server ends the subscription; throws `TransportError` if the connection ends earlier. */
  readonly open: (request: StreamRequest, signal: AbortSignal) => AsyncIterable<StreamItem>
}
