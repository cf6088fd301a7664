import { TransportError } from "../errors.ts"
import { FetchFailure } from "./boundedFetch.ts"
import type { WireError } from "./Transport.ts"

/** An error as tRPC writes it: the message and the `data` beside it. */
export const wireError = (message: string, data: Record<string, unknown>): WireError => ({
  message,
  code: text(data["code"]) ?? "UNKNOWN",
  httpStatus: number(data["httpStatus"]),
  retryable: data["retryable"] === true,
  retryAfterMs: number(data["retryAfterMs"]),
  domain: data["domain"]
})

export const text = (value: unknown) => (typeof value === "string" ? value : undefined)
const number = (value: unknown) => (typeof value === "number" ? value : undefined)

/** What a request that got no answer fails with. */
export const transportErrorOf = (procedure: string, cause: unknown): TransportError => {
  if (!(cause instanceof FetchFailure))
    return new TransportError({
      procedure,
      reason: "unexpected-response",
      maybeSent: true,
      retryable: false,
      cause
    })
  const { httpStatus, maybeSent, reason, retryable, retryAfterMs } = cause
  const fields = { procedure, reason, maybeSent, retryable, httpStatus, retryAfterMs }
  return new TransportError({ ...fields, cause: cause.cause })
}
