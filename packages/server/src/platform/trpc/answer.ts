import {
  type Access,
  type ErrorOf,
  Forbidden,
  type InvalidInput,
  type OutputOf,
  type Procedure,
  type RateLimited,
  ServiceUnavailable,
  Unauthenticated
} from "@holdfast/domain"
import { Cause, Effect, Exit, type ManagedRuntime, Result, Schema } from "effect"
import type { CallLimit } from "../rates/call-limits.ts"
import { encodingOnce } from "../cache/shared.ts"
import { countCall } from "../telemetry/calls.ts"
import { below, callersSpan } from "../telemetry/traces.ts"
import { classOf } from "./errors.ts"
import type { Call, Caller } from "./handler.ts"
import { makeDecode } from "./input.ts"
import type { RpcContext } from "./trpc.ts"

/**
 * Answers one call of a procedure. `input` is what the caller sent, as JSON has it; `onExit` gets the encoded output, or
 * why there is none, maybe before this returns. Returns what rolls the call back when its caller is gone.
 */
export type Answer = (
  input: unknown,
  ctx: RpcContext,
  onExit: (exit: Exit.Exit<unknown, unknown>) => void
) => () => void

/** Implements a procedure with one answer. */
export type AnswerHandler<P extends Procedure, R> = (
  call: Call<P>
) => Effect.Effect<OutputOf<P>, ErrorOf<P>, R>

/** What is known of callers. */
export interface Callers<R> {
  /** Whether the caller still exists: a user may have been deleted since the token was issued. */
  readonly exists: (caller: Caller) => Effect.Effect<boolean, ServiceUnavailable, R>
  /** How often a procedure may be called. */
  readonly limitOf: (procedure: Procedure, path: string) => CallLimit
}

/** A request that takes longer is interrupted, rolled back and answered with `ServiceUnavailable`. */
const REQUEST_DEADLINE_MS = 30_000
const LATE_RETRY_AFTER_MS = 1_000

/**
 * Decodes the input, checks the access, runs the handler as a fiber, encodes the output. Failures that the contract does
 * not declare are logged with the request's id.
 */
export const makeAnswer = <P extends Procedure, R>(
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  callers: Callers<R>,
  procedure: P,
  path: string,
  handler: AnswerHandler<P, R>
): Answer => {
  const callOf = makeCallOf(procedure, callers.limitOf(procedure, path))
  const encode = encodingOnce(Schema.encodeEffect(procedure.output))
  const answered = (call: Call<P>) =>
    handler(call).pipe(
      Effect.catchCause((cause) => deletedOr(callers, call.caller, cause)),
      Effect.flatMap((output) => Effect.orDie(encode(output)))
    )
  return (input, ctx, onExit) => {
    const annotations = { requestId: ctx.requestId, procedure: path }
    const startedAtMs = performance.now()
    const log = (line: Effect.Effect<void>) => void runtime.runFork(Effect.annotateLogs(line, annotations))
    const settle = (exit: Exit.Exit<unknown, unknown>, isLate: boolean) => {
      countCall(path, outcomeOf(procedure, exit, isLate), performance.now() - startedAtMs)
      if (Exit.isSuccess(exit)) return onExit(exit)
      if (isLate && Cause.hasInterruptsOnly(exit.cause)) {
        log(Effect.logWarning(`no answer within ${REQUEST_DEADLINE_MS} ms`))
        return onExit(Exit.fail(new ServiceUnavailable({ retryAfterMs: LATE_RETRY_AFTER_MS })))
      }
      if (isUnexpected(procedure, exit.cause)) log(Effect.logError("the procedure died", exit.cause))
      onExit(exit)
    }
    const call = callOf(input, ctx)
    if (Exit.isExit(call) && Exit.isFailure(call)) {
      settle(call, false)
      return nothingRuns
    }
    const answering = Effect.annotateLogs(next(call, answered), annotations)
    return runWithin(runtime, below(callersSpan(ctx.traceparent))(answering), REQUEST_DEADLINE_MS, settle)
  }
}

const nothingRuns = () => {}

/** Like `Effect.flatMap`, but at once when the effect has ended: most of what is asked of a call is known. */
const next = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  then: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  if (!Exit.isExit(effect)) return Effect.flatMap(effect, then)
  const exit = effect as Exit.Exit<A, E>
  return Exit.isSuccess(exit) ? then(exit.value) : Effect.failCause(exit.cause)
}

/** What the metrics call the end of a call. */
const outcomeOf = (procedure: Procedure, exit: Exit.Exit<unknown, unknown>, isLate: boolean): string => {
  if (Exit.isSuccess(exit)) return "ok"
  if (Cause.hasInterruptsOnly(exit.cause)) return isLate ? "ServiceUnavailable" : "interrupted"
  const failure = Cause.findError(exit.cause)
  const isDeclared = Result.isSuccess(failure) && classOf(procedure.errors, failure.success) !== undefined
  return isDeclared ? (failure.success as { readonly _tag: string })._tag : "died"
}

/** Runs an effect, and interrupts it after a while. One timer costs less than the fibers of `Effect.timeout`. */
const runWithin = <A, E, R>(
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  effect: Effect.Effect<A, E, R>,
  deadlineMs: number,
  settle: (exit: Exit.Exit<A, E>, isLate: boolean) => void
): (() => void) => {
  let isLate = false
  const fiber = runtime.runFork(effect)
  const timer = setTimeout(() => {
    isLate = true
    fiber.interruptUnsafe()
  }, deadlineMs)
  fiber.addObserver((exit) => {
    clearTimeout(timer)
    settle(exit, isLate)
  })
  return () => fiber.interruptUnsafe()
}

/** Makes the call that a handler gets, at once where nothing has to be read. Fails with the errors of limits, access and input. */
export const makeCallOf = <P extends Procedure>(procedure: P, limit: CallLimit) => {
  const decode = makeDecode(procedure)
  type Refusal = RateLimited | InvalidInput | Unauthenticated | Forbidden | ServiceUnavailable
  const decoded = (input: unknown, ctx: RpcContext, caller: Caller | undefined) =>
    next(decode(input ?? {}), (value) =>
      next(idempotencyKeyOf(procedure, ctx), (idempotencyKey): Effect.Effect<Call<P>> => {
        const request = {
          requestId: ctx.requestId,
          address: ctx.address,
          get userAgent() {
            return ctx.userAgent
          },
          idempotencyKey,
          lastEventId: lastEventIdOf(input)
        }
        return Effect.succeed({ input: value, caller: caller as never, request })
      })
    )
  return (input: unknown, ctx: RpcContext): Effect.Effect<Call<P>, Refusal> => {
    try {
      return next<void, RateLimited, never, Call<P>, Refusal, never>(limit(ctx, ctx.named), () =>
        next(authorise(procedure.access, ctx), (caller) => decoded(input, ctx, caller))
      )
    } catch (defect) {
      return Effect.die(defect)
    }
  }
}

/** Who may do more than others is looked up for every call: an administrator's power ends with the role. */
export const authorise = (
  access: Access,
  ctx: RpcContext
): Effect.Effect<Caller | undefined, Unauthenticated | Forbidden | ServiceUnavailable> => {
  if (access === "public") return Effect.undefined
  if (access === "user") return ctx.caller
  return Effect.flatMap(ctx.confirmedCaller, (known) =>
    known.role === "admin" ? Effect.succeed(known) : Effect.fail(new Forbidden({ requiredRole: "admin" }))
  )
}

/** Only mutations have a key, so a bad header fails no other procedure. */
const idempotencyKeyOf = (procedure: Procedure, ctx: RpcContext) =>
  procedure.kind === "mutation" ? Effect.fromResult(ctx.idempotencyKey) : Effect.succeed(undefined)

/** tRPC passes a subscriber's `last-event-id` in the input. */
const lastEventIdOf = (input: unknown): string | undefined => {
  const id = (input as { readonly lastEventId?: unknown } | undefined | null)?.lastEventId
  return typeof id === "string" ? id : undefined
}

/** Foreign keys refuse the rows of a deleted user. That is no defect but an outdated token. */
const deletedOr = <E, R>(
  callers: Callers<R>,
  caller: Caller | undefined,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | Unauthenticated | ServiceUnavailable, R> =>
  Effect.gen(function* () {
    const isDeleted = caller !== undefined && Cause.hasDies(cause) && !(yield* callers.exists(caller))
    if (isDeleted) return yield* new Unauthenticated({ reason: "invalid" })
    return yield* Effect.failCause(cause)
  })

/** Declared failures are answers, and interruptions are the caller's choice. */
export const isUnexpected = (procedure: Procedure, cause: Cause.Cause<unknown>): boolean => {
  const failure = Cause.findError(cause)
  if (Result.isSuccess(failure)) return classOf(procedure.errors, failure.success) === undefined
  return !Cause.hasInterruptsOnly(cause)
}
