import type { InvalidInput, Unauthenticated } from "@holdfast/domain"
import { initTRPC } from "@trpc/server"
import type { Result } from "effect"
import type { Caller } from "./handler.ts"

/** What the HTTP layer read from the headers. What is wrong with one matters only to procedures that need it. */
export interface RpcContext {
  readonly requestId: string
  readonly caller: Result.Result<Caller, Unauthenticated>
  readonly idempotencyKey: Result.Result<string | undefined, InvalidInput>
  /** Aborted when the server stops: subscriptions end then, and their clients connect to another one. */
  readonly closing: AbortSignal
}

/** Comments keep proxies from closing a quiet subscription; a client that misses two of them connects again. */
const PING_EVERY_MS = 15_000

/** A subscription is ended after this, so that none lives for ever; its client connects again. */
const SUBSCRIPTION_MS = 600_000

/** What an error that no procedure formatted looks like: never a stack, a statement or a store's own words. */
export const trpc = initTRPC.context<RpcContext>().create({
  isDev: false,
  sse: {
    maxDurationMs: SUBSCRIPTION_MS,
    ping: { enabled: true, intervalMs: PING_EVERY_MS },
    client: { reconnectAfterInactivityMs: 2 * PING_EVERY_MS }
  },
  errorFormatter: ({ ctx, error, shape }) => ({
    ...shape,
    message: error.code === "INTERNAL_SERVER_ERROR" ? "internal error" : shape.message,
    data: {
      code: shape.data.code,
      httpStatus: shape.data.httpStatus,
      ...(shape.data.path === undefined ? {} : { path: shape.data.path }),
      requestId: ctx?.requestId
    }
  })
})
