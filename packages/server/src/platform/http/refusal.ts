import { type DomainErrorClass, InvalidInput, type ServiceUnavailable } from "@holdfast/domain"
import { type TRPC_ERROR_CODE_KEY, TRPC_ERROR_CODES_BY_KEY } from "@trpc/server/rpc"
import { Schema } from "effect"
import type { FastifyReply, FastifyRequest } from "fastify"

/** The statuses of requests that are refused before any procedure sees them. */
const STATUS = {
  BAD_REQUEST: 400,
  NOT_FOUND: 404,
  METHOD_NOT_SUPPORTED: 405,
  TIMEOUT: 408,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INTERNAL_SERVER_ERROR: 500,
  SERVICE_UNAVAILABLE: 503
} as const satisfies Partial<Record<TRPC_ERROR_CODE_KEY, number>>
export type RefusalCode = keyof typeof STATUS

/** Answers with an error that every procedure declares, in the shape of the procedures' own errors. */
export const refuse = (
  request: FastifyRequest,
  reply: FastifyReply,
  error: InvalidInput | ServiceUnavailable,
  code: RefusalCode = error instanceof InvalidInput ? "BAD_REQUEST" : "SERVICE_UNAVAILABLE"
): void => {
  const { retryable } = error
  const wait = "retryAfterMs" in error ? { retryAfterMs: error.retryAfterMs } : {}
  if (wait.retryAfterMs !== undefined) reply.header("retry-after", retryAfterSeconds(wait.retryAfterMs))
  const domain: unknown = Schema.encodeUnknownSync(error.constructor as unknown as DomainErrorClass)(error)
  send(request, reply, code, error.message, { retryable, ...wait, domain })
}

/** Answers with an error that no procedure declares. */
export const refuseAs = (
  request: FastifyRequest,
  reply: FastifyReply,
  code: RefusalCode,
  message: string
): void => send(request, reply, code, message, {})

/** `Retry-After` knows whole seconds. */
export const retryAfterSeconds = (ms: number): string => String(Math.max(1, Math.ceil(ms / 1_000)))

const send = (
  request: FastifyRequest,
  reply: FastifyReply,
  code: RefusalCode,
  message: string,
  details: object
) => {
  const data = { code, httpStatus: STATUS[code], requestId: request.id, ...details }
  reply
    .code(STATUS[code])
    .type("application/json")
    .send(JSON.stringify({ error: { message, code: TRPC_ERROR_CODES_BY_KEY[code], data } }))
}
