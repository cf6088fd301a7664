import type { Operation } from "@trpc/client"
import { observable } from "@trpc/server/observable"
import { TransportError } from "../errors.ts"
import { defaultRetryPolicy, delayMs, mayRetry, type RetryPolicy, spendsAttempt } from "../retry.ts"
import { type Call, entered, type HoldfastLink, noteAlive, procedureAt } from "./call.ts"
import { abortOf, type ClientError, clientErrorOf, failureOf } from "./failure.ts"

/** The options of {@link retryLink}. */
export interface RetryLinkOptions extends Partial<RetryPolicy> {
  /** How long a call may take with its retries, in milliseconds. Default: 30,000. Subscriptions have no limit. */
  readonly timeoutMs?: number
}

interface Sending {
  readonly unsubscribe: () => void
}

/**
 * Repeats failed requests by the server's verdict until the call has an answer, a definitive error, or reaches its
 * deadline. A subscription's broken connection is reopened after the last event; `maxAttempts` consecutive connections
 * that deliver nothing end it. An aborted signal ends the call at once.
 */
export const retryLink = ({ timeoutMs = 30_000, ...given }: RetryLinkOptions = {}): HoldfastLink => {
  const policy = { ...defaultRetryPolicy, ...given }
  return () => (options) => {
    const { call, op } = entered(options.op)
    const isStream = op.type === "subscription"
    const deadline = isStream ? Infinity : Date.now() + (call.timeoutMs ?? timeoutMs)
    // The call ends by being left, so that no link below needs to listen to the signal.
    const request = { ...op, signal: null }
    return observable((observer) => {
      let sending: Sending | undefined
      let retry: ReturnType<typeof setTimeout> | undefined
      let isOver = false
      const send = (): void => {
        sending = options.next(request).subscribe({
          next: (envelope) => {
            const { result } = envelope
            if (isStream && (result.type === undefined || result.type === "data")) {
              noteAlive(call)
              if ("id" in result && result.id !== undefined) call.lastEventId = result.id
            }
            observer.next(envelope)
          },
          complete: () => observer.complete(),
          error: (error) => {
            if (isOver) return
            const waitMs = delayBeforeRetry(policy, deadline, call, op, error as ClientError)
            if (waitMs === undefined) observer.error(error)
            else retry = setTimeout(send, waitMs)
          }
        })
      }
      const abort = () => observer.error(abortOf(op.signal!.reason))
      const late = () => observer.error(clientErrorOf(call, lateError(op.path, call)))
      const timer = isStream ? undefined : setTimeout(late, deadline - Date.now())
      op.signal?.addEventListener("abort", abort, { once: true })
      if (op.signal?.aborted) abort()
      else send()
      return () => {
        isOver = true
        clearTimeout(timer)
        clearTimeout(retry)
        op.signal?.removeEventListener("abort", abort)
        sending?.unsubscribe()
      }
    })
  }
}

/** How long to wait before the next request, in milliseconds; `undefined` if the error is the result of the call. */
const delayBeforeRetry = (
  policy: RetryPolicy,
  deadline: number,
  call: Call,
  op: Operation,
  error: ClientError
): number | undefined => {
  const failure = failureOf(op.path, error)
  if (failure === undefined) return undefined
  const maxAttempts = call.maxAttempts ?? policy.maxAttempts
  if (spendsAttempt(maxAttempts, failure)) call.spent += 1
  const kind = procedureAt(op.path)?.kind ?? op.type
  if (!mayRetry(kind, failure) || call.spent >= maxAttempts) return undefined
  const waitMs = delayMs(policy, Math.max(1, call.spent), failure)
  // The deadline would cut this retry off, so the call fails at once.
  return Date.now() + waitMs >= deadline ? undefined : waitMs
}

const lateError = (procedure: string, call: Call) =>
  new TransportError({ procedure, reason: "timeout", maybeSent: !call.isWaiting, retryable: true })
