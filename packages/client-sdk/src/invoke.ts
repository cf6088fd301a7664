import type { DomainError } from "@holdfast/domain"
import { Effect, Result } from "effect"
import type { TokenFailure, TokenSource } from "./auth/token-source.ts"
import { type RemoteDefect, report, type Reported, ownCopy, TransportError } from "./errors.ts"
import type { Operation } from "./operation.ts"
import { delayMs, mayRetry, type RetryPolicy, spendsAttempt } from "./retry.ts"
import type { RequestEvent, ResponseEvent } from "./hooks.ts"
import type { EffectCallOptions, IdempotencyOption } from "./types.ts"
import type { ReplyMeta, Transport, TransportReply, TransportRequest } from "./transport/transport.ts"

/** What {@link makeInvoke} and `makeSubscribe` need. Durations are in milliseconds. */
export interface InvokeDependencies {
  readonly transport: Transport
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly onRequest: ((event: RequestEvent) => void) | undefined
  readonly onResponse: ((event: ResponseEvent) => void) | undefined
}

/** The options of one call, for every kind of procedure. */
export interface InvokeOptions extends EffectCallOptions, IdempotencyOption {}

/** Every error that a call may fail with. */
export type Failure = DomainError | TransportError | RemoteDefect

/** Runs one call, including its retries. */
export type Invoke = (
  operation: Operation,
  input: unknown,
  options: InvokeOptions,
  tokens: TokenSource | undefined
) => Effect.Effect<unknown, Reported<Failure>>

/**
 * Creates the function that runs calls. A call validates its input, generates the idempotency key and sends requests
 * until it has an answer, a definitive error, or reaches its deadline. A rejected token is renewed once per call.
 * Without `tokens`, no token is sent.
 */
export const makeInvoke =
  (dependencies: InvokeDependencies): Invoke =>
  (operation, input, options, tokens) =>
    Effect.suspend(() => {
      const call: CallState = {
        operation,
        idempotencyKey: keyOf(operation, options),
        tokens: operation.procedure.access === "public" ? undefined : tokens,
        options,
        maxAttempts: options.maxAttempts ?? dependencies.retry.maxAttempts,
        deadline: Date.now() + (options.timeoutMs ?? dependencies.timeoutMs),
        attempts: 0,
        spent: 0,
        requestId: undefined
      }
      const checked = operation.checkInput(input ?? {})
      const outcome = Result.isSuccess(checked)
        ? untilAnswered(dependencies, call, checked.success)
        : Effect.fail(checked.failure)
      return Effect.mapError(outcome, (error) => reportOf(call, error))
    })

interface CallState {
  readonly operation: Operation
  readonly idempotencyKey: string | undefined
  readonly tokens: TokenSource | undefined
  readonly options: InvokeOptions
  readonly maxAttempts: number
  /** In milliseconds since 1970. The call waits for nothing beyond it. */
  readonly deadline: number
  /** Requests sent so far. */
  attempts: number
  /** The failed requests that count against `maxAttempts`. */
  spent: number
  requestId: string | undefined
}

const keyOf = ({ procedure }: Operation, { idempotencyKey }: InvokeOptions) =>
  procedure.kind === "mutation" ? (idempotencyKey ?? crypto.randomUUID()) : undefined

const reportOf = <E extends Failure>(call: CallState, error: E): Reported<E> =>
  report(error, { requestId: call.requestId, idempotencyKey: call.idempotencyKey, attempts: call.attempts })

const untilAnswered = Effect.fnUntraced(function* (
  dependencies: InvokeDependencies,
  call: CallState,
  input: unknown
): Effect.fn.Return<unknown, Failure> {
  const { deadline, maxAttempts, operation, tokens } = call
  let token = tokens?.known()
  if (tokens !== undefined && token === undefined) token = yield* tokenInTime(call, tokens.current)
  let renewed = false
  while (true) {
    const { failure, meta, output } = yield* attempt(dependencies, call, input, token)
    if (failure === undefined) return output
    if (tokens !== undefined && !renewed && failure._tag === "Unauthenticated") {
      renewed = true
      token = yield* tokenInTime(call, tokens.renew(meta.sentToken))
      if (token === undefined) return yield* Effect.fail(failure)
      continue
    }
    if (spendsAttempt(maxAttempts, failure)) call.spent += 1
    if (!mayRetry(operation.procedure.kind, failure) || call.spent >= maxAttempts)
      return yield* Effect.fail(failure)
    const waitMs = yield* delayMs(dependencies.retry, Math.max(1, call.spent), failure)
    // The deadline would cut this retry off, so the call fails at once.
    if (Date.now() + waitMs >= deadline) return yield* Effect.fail(failure)
    yield* Effect.sleep(waitMs)
  }
})

/** Waits for the token until the deadline of the call. Calls that share a login each get a copy of its error. */
const tokenInTime = (
  { deadline, operation }: CallState,
  token: Effect.Effect<string | undefined, TokenFailure>
): Effect.Effect<string | undefined, TokenFailure> =>
  token.pipe(
    Effect.mapError(ownCopy),
    Effect.timeoutOrElse({
      duration: Math.max(0, deadline - Date.now()),
      orElse: () =>
        Effect.fail(
          new TransportError({
            procedure: operation.name,
            reason: "timeout",
            maybeSent: false,
            retryable: true
          })
        )
    })
  )

interface Outcome {
  readonly output: unknown
  readonly failure: Failure | undefined
  readonly meta: ReplyMeta
}

/** Sends one request. It never fails: a failure is part of the outcome. */
const attempt = Effect.fnUntraced(function* (
  { onRequest, onResponse, transport }: InvokeDependencies,
  call: CallState,
  input: unknown,
  token: string | undefined
): Effect.fn.Return<Outcome> {
  const { idempotencyKey, operation } = call
  const { name: procedure } = operation
  const { batchable = true, kind } = operation.procedure
  call.attempts += 1
  call.requestId = undefined
  const event = { procedure, kind, attempt: call.attempts, idempotencyKey }
  onRequest?.(event)
  const sentAt = Date.now()
  const request = {
    procedure,
    kind,
    batchable,
    input,
    token,
    idempotencyKey,
    headers: call.options.headers,
    timeoutMs: Math.max(0, call.deadline - sentAt),
    onRequestId: (requestId: string) => void (call.requestId = requestId)
  }
  const outcome = outcomeOf(operation, yield* Effect.result(exchange(transport, request)))
  const response = {
    ...event,
    requestId: call.requestId,
    durationMs: Date.now() - sentAt,
    error: outcome.failure
  }
  onResponse?.(response)
  call.options.onResponse?.(response)
  return outcome
})

/** Sends a request through the transport. Interruption cancels it. */
const exchange = (transport: Transport, request: TransportRequest) =>
  Effect.callback<TransportReply, TransportError>((resume) => {
    const { cancel, reply } = transport.send(request)
    reply.then(
      (answered) => resume(Effect.succeed(answered)),
      (error: unknown) => resume(error instanceof TransportError ? Effect.fail(error) : Effect.die(error))
    )
    return Effect.sync(cancel)
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
