import { observable } from "@trpc/server/observable"
import * as Result from "effect/Result"
import { entered, type HoldfastLink } from "./call.ts"
import { type ClientError, clientErrorOf, operationAt, typed } from "./failure.ts"

/**
 * Makes the `cause` of every error the class that the contract declares, or `TransportError` or `RemoteDefect`, with
 * `requestId`, `idempotencyKey` and `attempts`. It stands right above the link that sends.
 */
export const errorsLink = (): HoldfastLink => makeErrorsLink(false)

/** The same, and answers are decoded: dates are `Date`s. An answer that breaks the contract is a `RemoteDefect`. */
export const decodingLink = (): HoldfastLink => makeErrorsLink(true)

const makeErrorsLink =
  (isDecoding: boolean): HoldfastLink =>
  () =>
  (options) => {
    const { call, op } = entered(options.op)
    const operation = isDecoding ? operationAt(op.path) : undefined
    return observable((observer) =>
      options.next(op).subscribe({
        next: (envelope) => {
          const { result } = envelope
          call.response = envelope.context?.["response"] as typeof call.response
          if (operation === undefined || (result.type !== undefined && result.type !== "data"))
            return observer.next(envelope)
          const output = operation.decodeOutput(eventData(result))
          if (Result.isSuccess(output))
            observer.next({ ...envelope, result: { ...result, data: output.success } })
          else observer.error(clientErrorOf(call, output.failure))
        },
        error: (error) => observer.error(typed(call, op.path, error as ClientError)),
        complete: () => observer.complete()
      })
    )
  }

/** An event with an id arrives as `{ id, data }`. */
const eventData = (result: { readonly id?: unknown; readonly data?: unknown }): unknown =>
  result.id === undefined ? result.data : (result.data as { readonly data: unknown }).data
