import type { TRPCClientError } from "@trpc/client"
import type { AnyTRPCRouter } from "@trpc/server"
import { type AnyFailure, RemoteDefect, report, TransportError } from "../errors.ts"
import { makeOperation, type Operation } from "../operation.ts"
import { FetchFailure, unexpected, type FetchResponse } from "../transport/responses.ts"
import { type Call, procedureAt } from "./call.ts"

/** Every error that a call may fail with. */
export type Failure = AnyFailure

/** The error type of tRPC's links. */
export type ClientError = TRPCClientError<AnyTRPCRouter>

/** Carries what the application's own code threw, `headers` or a token store for instance, unchanged to the caller. */
export class ApplicationFault extends Error {
  override readonly cause: unknown
  constructor(cause: unknown) {
    super("the application threw")
    this.cause = cause
  }
}

const operations = new Map<string, Operation>()

/** The codecs of a procedure of the contract. */
export const operationAt = (path: string): Operation | undefined => {
  const known = operations.get(path)
  if (known !== undefined) return known
  const procedure = procedureAt(path)
  if (procedure === undefined) return undefined
  const operation = makeOperation(path, procedure)
  operations.set(path, operation)
  return operation
}

/** What the application's own code threw, as a link's error or below tRPC's. */
export const faultOf = (error: unknown): ApplicationFault | undefined =>
  [error, (error as { readonly cause?: unknown }).cause].find((one) => one instanceof ApplicationFault)

/** Whether the value is a typed error of a call. */
export const isFailure = (value: unknown): value is Failure =>
  value instanceof Error && "_tag" in value && "retryable" in value

/** The typed error behind an error of tRPC's links; `undefined` if the application's own code threw it. */
export const failureOf = (path: string, error: ClientError): Failure | undefined => {
  const { cause, meta, shape } = error as ClientError & { readonly cause: unknown }
  if (isFailure(cause)) return cause
  if (cause instanceof FetchFailure) return transportErrorOf(path, cause)
  if (faultOf(error) !== undefined) return undefined
  if (shape != null) return decodedError(path, error.message, (error.data ?? {}) as Record<string, unknown>)
  const response = meta?.["response"] as FetchResponse | undefined
  return transportErrorOf(path, response === undefined ? foreign(cause) : unexpected(response, cause))
}

const foreign = (cause: unknown) =>
  new FetchFailure({ reason: "unexpected-response", maybeSent: true, retryable: false, cause })

const decodedError = (path: string, message: string, data: Record<string, unknown>): Failure => {
  const wireError = {
    message,
    code: text(data["code"]) ?? "UNKNOWN",
    httpStatus: number(data["httpStatus"]),
    retryable: data["retryable"] === true,
    retryAfterMs: number(data["retryAfterMs"]),
    domain: data["domain"]
  }
  const operation = operationAt(path)
  if (operation !== undefined) return operation.decodeError(wireError)
  const { domain: _, message: detail, ...fields } = wireError
  return new RemoteDefect({ procedure: path, detail, ...fields })
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined)
const number = (value: unknown) => (typeof value === "number" ? value : undefined)

const transportErrorOf = (procedure: string, failure: FetchFailure): TransportError => {
  const { cause, httpStatus, maybeSent, reason, retryable, retryAfterMs } = failure
  return new TransportError({ procedure, reason, maybeSent, retryable, httpStatus, retryAfterMs, cause })
}

/**
 * The error with which a link reports a failure that no server sent: the typed error, with itself as the `cause`. tRPC's
 * own client makes one of its class from it; the class would bring all of that client into every page.
 */
export const clientErrorOf = (call: Call, failure: Failure): ClientError => {
  const cause = reportOf(call, failure)
  return Object.create(cause, { cause: { value: cause } }) as ClientError
}

/** Makes the typed error the `cause` of tRPC's. */
export const typed = (call: Call, path: string, error: ClientError): ClientError => {
  const { data } = error as { readonly data?: { readonly requestId?: unknown } | null }
  call.requestId = text(data?.requestId) ?? call.requestId
  const failure = failureOf(path, error)
  return failure === undefined ? error : Object.assign(error, { cause: reportOf(call, failure) })
}

/** Gives an error the details of its call. */
export const reportOf = <E extends Failure>(call: Call, failure: E) =>
  report(failure, { requestId: call.requestId, idempotencyKey: call.key, attempts: call.attempts })

/** The error of a call that the application's own code ended, by its signal for instance. Its caller receives the reason. */
export const abortOf = (reason: unknown): ClientError => new ApplicationFault(reason) as never
