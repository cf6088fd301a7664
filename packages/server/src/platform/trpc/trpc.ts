import type { InvalidInput, ServiceUnavailable, Unauthenticated } from "@holdfast/domain"
import { initTRPC } from "@trpc/server"
import type { Effect, Result } from "effect"
import { abridged } from "./errors.ts"
import type { Caller, RequestOrigin } from "./handler.ts"
import type { Standing } from "../rates/rate-limits.ts"

/** What the HTTP layer reads from the headers. A bad header is an error only for procedures that need it. */
export interface RpcContext extends RequestOrigin {
  readonly requestId: string
  /** The header `traceparent`, which names the caller's span. */
  readonly traceparent?: string | undefined
  /** Who the access token names, whether its session is open or not: enough for counting. */
  readonly named: Result.Result<Caller, Unauthenticated>
  /** Verifies the access token, where a procedure needs one. A session that has just ended may pass for seconds. */
  readonly caller: Effect.Effect<Caller, Unauthenticated | ServiceUnavailable>
  /** The same as of now. */
  readonly confirmedCaller: Effect.Effect<Caller, Unauthenticated | ServiceUnavailable>
  readonly idempotencyKey: Result.Result<string | undefined, InvalidInput>
  /** How the caller stands with the limit that it comes closest to; the calls of the request note it. */
  readonly standing: { tightest?: Standing }
  /** Aborted when the server stops: subscriptions end, and their clients reconnect to another server. */
  readonly closing: AbortSignal
}

/** Pings keep proxies from closing a quiet subscription; a client that misses two of them reconnects. */
const PING_EVERY_MS = 15_000

/** The longest life of a subscription. Its client reconnects. */
const SUBSCRIPTION_MS = 600_000

/** The shape of an error that no procedure formats carries no stack, no SQL and no message of a store. */
export const trpc = initTRPC.context<RpcContext>().create({
  isDev: false,
  sse: {
    maxDurationMs: SUBSCRIPTION_MS,
    ping: { enabled: true, intervalMs: PING_EVERY_MS },
    client: { reconnectAfterInactivityMs: 2 * PING_EVERY_MS }
  },
  errorFormatter: ({ ctx, error, shape }) => ({
    ...shape,
    message: error.code === "INTERNAL_SERVER_ERROR" ? "internal error" : abridged(shape.message),
    data: {
      code: shape.data.code,
      httpStatus: shape.data.httpStatus,
      ...(shape.data.path === undefined ? {} : { path: abridged(shape.data.path) }),
      requestId: ctx?.requestId
    }
  })
})
