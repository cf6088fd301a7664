import { type DomainErrorClass, InvalidInput, ServiceUnavailable } from "@holdfast/domain"
import { type TRPC_ERROR_CODE_KEY, TRPC_ERROR_CODES_BY_KEY } from "@trpc/server/rpc"
import { Schema } from "effect"
import type { FastifyReply, FastifyRequest } from "fastify"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { HttpSettings } from "../config.ts"
import { corsHeaders } from "./headers.ts"
import { requestIdOf } from "./request-id.ts"

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
  error: InvalidInput,
  code: RefusalCode = "BAD_REQUEST"
): void => send(request, reply, code, error.message, declared(error))

/** Answers with an error that no procedure declares. */
export const refuseAs = (
  request: FastifyRequest,
  reply: FastifyReply,
  code: RefusalCode,
  message: string
): void => send(request, reply, code, message, {})

const send = (
  request: FastifyRequest,
  reply: FastifyReply,
  code: RefusalCode,
  message: string,
  details: object
): void => {
  reply
    .code(STATUS[code])
    .type("application/json")
    .send(bodyOf(code, message, request.id, details))
}

/** `Retry-After` knows whole seconds. */
export const retryAfterSeconds = (ms: number): string => String(Math.max(1, Math.ceil(ms / 1_000)))

/** When a caller whose request was shed may try again. */
const RETRY_AFTER_MS = 1_000

const busy = new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS })

/** Answers a request that the application does not see. A browser may read the answer if it may read all others. */
export const serviceUnavailable = (
  { headers: { origin, "x-request-id": id } }: IncomingMessage,
  response: ServerResponse,
  { endsConnection, origins }: Pick<HttpSettings, "origins"> & { readonly endsConnection: boolean }
): void => {
  const requestId = requestIdOf(id)
  const body = bodyOf("SERVICE_UNAVAILABLE", busy.message, requestId, busyDetails)
  response.writeHead(STATUS.SERVICE_UNAVAILABLE, {
    "content-type": "application/json",
    "content-length": body.length,
    "retry-after": retryAfterSeconds(RETRY_AFTER_MS),
    "x-request-id": requestId,
    ...(endsConnection ? { connection: "close" } : {}),
    ...corsHeaders(origins, origin)
  })
  response.end(body)
}

const declared = (error: InvalidInput | ServiceUnavailable) => ({
  retryable: error.retryable,
  ...("retryAfterMs" in error ? { retryAfterMs: error.retryAfterMs } : {}),
  domain: Schema.encodeUnknownSync(error.constructor as unknown as DomainErrorClass)(error) as unknown
})
const busyDetails = declared(busy)

const bodyOf = (code: RefusalCode, message: string, requestId: string, details: object): string =>
  JSON.stringify({
    error: {
      message,
      code: TRPC_ERROR_CODES_BY_KEY[code],
      data: { code, httpStatus: STATUS[code], requestId, ...details }
    }
  })
