import * as Result from "effect/Result"
import { type Call, contextOf, newCall } from "./links/call.ts"
import type { Send } from "./links/chain.ts"
import { faultOf, isFailure, reportOf } from "./links/failure.ts"
import type { Operation } from "./operation.ts"
import type { CallOptions, IdempotencyOption } from "./types.ts"

/** The options of one call, for every kind of procedure. */
export interface InvokeOptions extends CallOptions, IdempotencyOption {}

/** Runs one call. Rejects with a reported error, the reason of its signal, or what the application's own code threw. */
export type Invoke = (
  operation: Operation,
  input: unknown,
  options?: InvokeOptions,
  call?: Call
) => Promise<unknown>

/** Creates the function that runs calls: each input is checked here, and everything else is the work of the links. */
export const makeInvoke =
  (send: Send): Invoke =>
  async (operation, input, options = {}, call = newCall(options)) => {
    const { signal } = options
    throwIfAborted(signal)
    const request = {
      type: operation.procedure.kind === "query" ? "query" : "mutation",
      path: operation.name,
      input: inputOf(operation, input, call),
      context: contextOf(call),
      signal: signal ?? null
    } as const
    try {
      return await answerOf(send(request))
    } catch (error) {
      throwIfAborted(signal)
      throw thrownBy(call, error)
    }
  }

/** The first answer. tRPC's `observableToPromise` aborts a controller for each call, which takes longer than the rest of it. */
const answerOf = (answers: ReturnType<Send>): Promise<unknown> =>
  new Promise((resolve, reject) => {
    answers.subscribe({
      next: ({ result }) => resolve("data" in result ? result.data : undefined),
      error: reject
    })
  })

/** The input as it will be sent. */
export const inputOf = (operation: Operation, input: unknown, call: Call): unknown => {
  const checked = operation.checkInput(input ?? {})
  if (Result.isFailure(checked)) throw beginAtCaller(reportOf(call, checked.failure), call)
  return checked.success
}

/** What a caller receives for an error of tRPC's client: the typed error, or what the application's own code threw. */
export const thrownBy = (call: Call, error: unknown): unknown => {
  const { cause } = error as { readonly cause?: unknown }
  if (isFailure(cause)) return beginAtCaller(reportOf(call, cause), call)
  const fault = faultOf(error)
  return fault === undefined ? (cause ?? error) : fault.cause
}

/** Throws the reason of an aborted signal, as `fetch` does. */
export const throwIfAborted = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted) throw signal.reason ?? new Error("the signal was aborted")
}

/** Where the caller stands is what a reader of the stack looks for. It is written when it is read. */
const beginAtCaller = <E extends Error>(error: E, { caller }: Call): E => {
  if (caller.stack === undefined) return error
  const write = () => `${error.name}: ${error.message}${caller.stack!.replace(/^.*?(?=\n {4}at )/s, "")}`
  return Object.defineProperty(error, "stack", { get: write, configurable: true, enumerable: false })
}

/** Captures the stack from the caller of a method on. Engines without V8's function keep the method on it. */
export const callerOf = (method: (...args: ReadonlyArray<never>) => unknown): Call["caller"] => {
  const caller: { stack?: string } = {}
  const { captureStackTrace } = Error as {
    readonly captureStackTrace?: (target: object, below: (...args: ReadonlyArray<never>) => unknown) => void
  }
  if (captureStackTrace === undefined) caller.stack = new Error().stack ?? ""
  else captureStackTrace(caller, method)
  return caller
}
