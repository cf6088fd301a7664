import { type DomainError, HTTP_STATUS, type Procedure } from "@holdfast/domain"
import { TRPC_ERROR_CODES_BY_KEY, type TRPC_ERROR_CODE_KEY } from "@trpc/server/rpc"
import { Cause, Exit, Result } from "effect"
import { jsonOf } from "../cache/shared.ts"
import type { Answer } from "./answer.ts"
import { classOf, declaredDataOf } from "./errors.ts"
import type { RpcContext } from "./trpc.ts"

/** The response to one call, as tRPC writes it. */
export interface WireAnswer {
  readonly status: number
  readonly body: string
  readonly retryAfterMs?: number | undefined
}

/** Answers single JSON calls of one procedure without the general machinery of tRPC's adapters. */
export interface DirectCall {
  readonly method: "GET" | "POST"
  readonly answer: Answer
  readonly respond: (exit: Exit.Exit<unknown, unknown>, ctx: RpcContext) => WireAnswer
}

/** The same status and body that tRPC's adapter gives to a single call; `http/direct.test.ts` compares the two. */
export const makeDirectCall = (procedure: Procedure, path: string, answer: Answer): DirectCall => ({
  method: procedure.kind === "query" ? "GET" : "POST",
  answer,
  respond: (exit, { requestId }) => {
    if (Exit.isSuccess(exit)) return { status: 200, body: bodyOf(exit.value) }
    const failure = Cause.findError(exit.cause)
    const errorClass = Result.isSuccess(failure) ? classOf(procedure.errors, failure.success) : undefined
    if (errorClass === undefined || Result.isFailure(failure))
      return Cause.hasInterruptsOnly(exit.cause)
        ? refusal("CLIENT_CLOSED_REQUEST", 499, "the request was cancelled", { path, requestId })
        : refusal("INTERNAL_SERVER_ERROR", 500, "internal error", { path, requestId })
    const error = failure.success as DomainError
    const { code } = errorClass
    const details = { path, requestId, ...declaredDataOf(errorClass, error) }
    return {
      ...refusal(code, HTTP_STATUS[code], error.message, details),
      retryAfterMs: error.retryAfterMs
    }
  }
})

/** tRPC leaves `data` out when there is none. */
const bodyOf = (output: unknown): string =>
  output === undefined ? '{"result":{}}' : `{"result":{"data":${jsonOf(output)}}}`

const refusal = (
  code: TRPC_ERROR_CODE_KEY,
  httpStatus: number,
  message: string,
  details: object
): WireAnswer => ({
  status: httpStatus,
  body: JSON.stringify({
    error: { message, code: TRPC_ERROR_CODES_BY_KEY[code], data: { code, httpStatus, ...details } }
  })
})
