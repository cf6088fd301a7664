import type { DomainError, ProcedureKind } from "@holdfast/domain"
import { Clock, Effect, Result } from "effect"
import type { TokenSource } from "./auth/TokenSource.ts"
import { type RemoteDefect, report, type Reported, ownCopy, TransportError } from "./errors.ts"
import type { Operation } from "./operation.ts"
import { delayMs, mayRetry, type RetryPolicy } from "./retry.ts"
import type { ReplyMeta, Transport, TransportReply } from "./transport/Transport.ts"

/** One request of a call, as the hooks see it. */
export interface RequestEvent {
  readonly procedure: string
  readonly kind: ProcedureKind
  /** 1 for the first request of the call. */
  readonly attempt: number
  readonly idempotencyKey: string | undefined
}

/** How that request ended. */
export interface ResponseEvent extends RequestEvent {
  readonly requestId: string | undefined
  readonly durationMs: number
  /** `undefined` when the request succeeded. */
  readonly error: DomainError | TransportError | RemoteDefect | undefined
}

export interface InvokeDependencies {
  readonly transport: Transport
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly onRequest: ((event: RequestEvent) => void) | undefined
  readonly onResponse: ((event: ResponseEvent) => void) | undefined
}

export interface InvokeOptions {
  readonly timeoutMs?: number | undefined
  readonly idempotencyKey?: string | undefined
}

export type Failure = DomainError | TransportError | RemoteDefect

/** Runs one call of one procedure to its end. */
export type Invoke = (
  operation: Operation,
  input: unknown,
  options: InvokeOptions,
  tokens: TokenSource | undefined
) => Effect.Effect<unknown, Reported<Failure>>

/**
 * A call: checks the input, makes the idempotency key, then sends until there is an answer, a definitive error, or
 * no time left. A rejected token is renewed once per call. `tokens` is `undefined` where none is to be sent.
 */
export const makeInvoke =
  (dependencies: InvokeDependencies): Invoke =>
  (operation, input, options, tokens) =>
    Effect.suspend(() => {
      const checked = operation.checkInput(input ?? {})
      const call: CallState = {
        operation,
        idempotencyKey: keyOf(operation, options),
        tokens: operation.procedure.access === "public" ? undefined : tokens,
        attempts: 0,
        requestId: undefined,
        lastFailure: undefined
      }
      if (Result.isFailure(checked)) return Effect.fail(reportOf(call, checked.failure))
      const timeoutMs = options.timeoutMs ?? dependencies.timeoutMs
      return Effect.flatMap(Clock.currentTimeMillis, (startedAt) =>
        untilAnswered(dependencies, call, checked.success, startedAt + timeoutMs).pipe(
          Effect.timeoutOrElse({ duration: timeoutMs, orElse: () => Effect.fail(outOfTime(call)) }),
          Effect.mapError((error) => reportOf(call, error))
        )
      )
    })

interface CallState {
  readonly operation: Operation
  readonly idempotencyKey: string | undefined
  readonly tokens: TokenSource | undefined
  attempts: number
  requestId: string | undefined
  /** What the call fails with if the time is over before the next request is sent. */
  lastFailure: Failure | undefined
}

const keyOf = ({ procedure }: Operation, { idempotencyKey }: InvokeOptions) =>
  procedure.kind === "mutation" ? (idempotencyKey ?? crypto.randomUUID()) : undefined

const reportOf = <E extends Failure>(call: CallState, error: E): Reported<E> =>
  report(error, { requestId: call.requestId, idempotencyKey: call.idempotencyKey, attempts: call.attempts })

const outOfTime = ({ attempts, lastFailure, operation }: CallState) =>
  lastFailure ??
  new TransportError({
    procedure: operation.name,
    reason: "timeout",
    maybeSent: attempts > 0,
    retryable: true
  })

const untilAnswered = Effect.fnUntraced(function* (
  dependencies: InvokeDependencies,
  call: CallState,
  input: unknown,
  deadline: number
): Effect.fn.Return<unknown, Failure> {
  const { operation, tokens } = call
  const { procedure } = operation
  let token = tokens === undefined ? undefined : yield* Effect.mapError(tokens.current, ownCopy)
  let renewed = false
  while (true) {
    const { failure, meta, output } = yield* attempt(dependencies, call, input, token)
    if (failure === undefined) return output
    if (tokens !== undefined && !renewed && failure._tag === "Unauthenticated") {
      renewed = true
      token = yield* Effect.mapError(tokens.renew(meta.sentToken), ownCopy)
      if (token === undefined) return yield* Effect.fail(failure)
      continue
    }
    if (!mayRetry(procedure.kind, failure) || call.attempts >= dependencies.retry.maxAttempts)
      return yield* Effect.fail(failure)
    const waitMs = yield* delayMs(dependencies.retry, call.attempts, failure)
    // There is no point in waiting for a retry that the deadline would cut off.
    if ((yield* Clock.currentTimeMillis) + waitMs >= deadline) return yield* Effect.fail(failure)
    call.lastFailure = failure
    yield* Effect.sleep(waitMs)
    call.lastFailure = undefined
  }
})

interface Outcome {
  readonly output: unknown
  readonly failure: Failure | undefined
  readonly meta: ReplyMeta
}

/** Sends one request. Never fails: what went wrong is part of the outcome. */
const attempt = Effect.fnUntraced(function* (
  { onRequest, onResponse, transport }: InvokeDependencies,
  call: CallState,
  input: unknown,
  token: string | undefined
): Effect.fn.Return<Outcome> {
  const { idempotencyKey, operation } = call
  const { name: procedure } = operation
  const { kind } = operation.procedure
  call.attempts += 1
  call.requestId = undefined
  const event = { procedure, kind, attempt: call.attempts, idempotencyKey }
  onRequest?.(event)
  const sentAt = yield* Clock.currentTimeMillis
  const onRequestId = (requestId: string) => void (call.requestId = requestId)
  const request = { procedure, kind, input, token, idempotencyKey, onRequestId }
  const outcome = outcomeOf(operation, yield* Effect.result(transport.send(request)))
  if (onResponse !== undefined) {
    const durationMs = (yield* Clock.currentTimeMillis) - sentAt
    onResponse({ ...event, requestId: call.requestId, durationMs, error: outcome.failure })
  }
  return outcome
})

const outcomeOf = (operation: Operation, sent: Result.Result<TransportReply, TransportError>): Outcome => {
  if (Result.isFailure(sent))
    return { output: undefined, failure: sent.failure, meta: { sentToken: undefined } }
  const reply = sent.success
  const { meta } = reply
  if (!reply.ok) return { output: undefined, failure: operation.decodeError(reply.error), meta }
  const output = operation.decodeOutput(reply.output)
  return Result.isSuccess(output)
    ? { output: output.success, failure: undefined, meta }
    : { output: undefined, failure: output.failure, meta }
}
