import {
  type Access,
  type Contract,
  type DomainError,
  type ErrorOf,
  Forbidden,
  type InputOf,
  type InvalidInput,
  type OutputOf,
  type Procedure,
  ServiceUnavailable,
  Unauthenticated
} from "@holdfast/domain"
import {
  tracked,
  TRPCError,
  type TRPCMutationProcedure,
  type TRPCQueryProcedure,
  type TRPCSubscriptionProcedure
} from "@trpc/server"
import { Cause, Effect, Exit, type ManagedRuntime, Result, Schema, Stream } from "effect"
import { encodingOnce } from "../cache/shared.ts"
import { Subscriber } from "../live/live-queries.ts"
import type { Call, Caller, Handler, Handlers, SubscriptionEvent } from "./handler.ts"
import { type RpcContext, trpc } from "./trpc.ts"
import { classOf, Declared, type WireError } from "./errors.ts"
import { makeDecode } from "./input.ts"

/** The tRPC procedure of a contract's procedure. */
export type Implemented<P extends Procedure> = P["kind"] extends "subscription"
  ? TRPCSubscriptionProcedure<StreamDefinition<P>>
  : P["kind"] extends "query"
    ? TRPCQueryProcedure<Definition<P>>
    : TRPCMutationProcedure<Definition<P>>

interface StreamDefinition<P extends Procedure> extends Omit<Definition<P>, "output"> {
  readonly output: AsyncIterable<ReturnType<typeof tracked<P["output"]["Encoded"]>>, void, unknown>
}

interface Definition<P extends Procedure> {
  readonly input: InputOf<P>
  readonly output: P["output"]["Encoded"]
  readonly meta: object
  readonly errorShape: WireError<P>
}

/** A request that takes longer is interrupted, rolled back and answered with `ServiceUnavailable`. */
const REQUEST_DEADLINE_MS = 30_000
const LATE_RETRY_AFTER_MS = 1_000

/**
 * The only place where Effect and tRPC meet. Decodes the input, checks the access, runs the handler as a fiber that
 * the request's abort signal interrupts, encodes the output. Declared failures travel as data; everything else is
 * masked as an internal error and logged with the request's id. A subscription's failure travels in its stream, because
 * a browser's event source cannot read the body of an error response.
 */
export const makeImplement =
  <R>(runtime: ManagedRuntime.ManagedRuntime<R, never>, callers: Callers<NoInfer<R>>) =>
  <P extends Procedure>(procedure: P, handler: Handler<P, R>): Implemented<P> => {
    const builder = trpc.procedure
      .errors(({ ctx, error, shape }) => {
        if (!(error.cause instanceof Declared)) return undefined
        const declared = error.cause.error
        const errorClass = classOf(procedure.errors, declared)
        if (errorClass === undefined) return undefined
        const { retryable, retryAfterMs } = declared
        const { code, httpStatus, path } = shape.data
        return {
          ...shape,
          data: {
            code,
            httpStatus,
            ...(path === undefined ? {} : { path }),
            requestId: ctx?.requestId,
            retryable,
            ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
            domain: Schema.encodeUnknownSync(errorClass)(declared)
          }
        }
      })
      .input((raw: unknown) => raw)
    const resolve = makeResolve(runtime, callers, procedure, handler as AnswerHandler<P, R>)
    const builtAs = {
      query: () => builder.query(resolve),
      mutation: () => builder.mutation(resolve),
      action: () => builder.mutation(resolve),
      subscription: () =>
        builder.subscription(makeSubscribe(runtime, procedure, handler as StreamHandler<P, R>))
    }
    return builtAs[procedure.kind]() as unknown as Implemented<P>
  }

/** Makes the call that a handler gets. Fails with the errors of access and input. */
const makeCallOf = <P extends Procedure>(procedure: P) => {
  const decode = makeDecode(procedure)
  return Effect.fnUntraced(function* (
    input: unknown,
    ctx: RpcContext
  ): Effect.fn.Return<Call<P>, InvalidInput | Unauthenticated | Forbidden> {
    const caller = yield* authorise(procedure.access, ctx)
    const decoded = yield* decode(input ?? {})
    const request = {
      requestId: ctx.requestId,
      idempotencyKey: yield* idempotencyKeyOf(procedure, ctx),
      lastEventId: lastEventIdOf(input)
    }
    return { input: decoded, caller: caller as never, request }
  })
}

/** The resolver of everything but a subscription: one answer. */
const makeResolve = <P extends Procedure, R>(
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  callers: Callers<R>,
  procedure: P,
  handler: AnswerHandler<P, R>
) => {
  const callOf = makeCallOf(procedure)
  const encode = encodingOnce(Schema.encodeEffect(procedure.output))
  const late = Effect.logWarning(`no answer within ${REQUEST_DEADLINE_MS} ms`).pipe(
    Effect.andThen(Effect.fail(new ServiceUnavailable({ retryAfterMs: LATE_RETRY_AFTER_MS })))
  )
  const answer = (input: unknown, ctx: RpcContext) =>
    Effect.gen(function* () {
      const call = yield* callOf(input, ctx)
      const output = yield* handler(call).pipe(
        Effect.catchCause((cause) => deletedOr(callers, call.caller, cause))
      )
      return yield* encode(output).pipe(Effect.orDie)
    }).pipe(Effect.timeoutOrElse({ duration: REQUEST_DEADLINE_MS, orElse: () => late }))

  return async ({ ctx, input, path, signal }: ResolverOptions) => {
    const traced = answer(input, ctx).pipe(
      Effect.tapCause((cause) => logUnexpected(procedure, cause)),
      Effect.annotateLogs({ requestId: ctx.requestId, procedure: path })
    )
    const exit = await runtime.runPromiseExit(traced, { signal })
    if (Exit.isSuccess(exit)) return exit.value
    throw toTrpcError(procedure, exit.cause)
  }
}

/** The resolver of a subscription: a stream of answers, each under its id. */
const makeSubscribe = <P extends Procedure, R>(
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  procedure: P,
  handler: StreamHandler<P, R>
) => {
  const callOf = makeCallOf(procedure)
  const encode = Schema.encodeEffect(procedure.output)
  return async function* ({ ctx, input, path, signal }: ResolverOptions) {
    const answers = Stream.unwrap(Effect.map(callOf(input, ctx), handler)).pipe(
      Stream.mapEffect(({ data, id }) =>
        encode(data).pipe(
          Effect.orDie,
          Effect.map((encoded) => tracked(id, encoded))
        )
      ),
      Stream.provideService(Subscriber, subscriberOf(ctx)),
      Stream.interruptWhen(abortOf([signal, ctx.closing])),
      Stream.tapCause((cause) =>
        logUnexpected(procedure, cause).pipe(
          Effect.annotateLogs({ requestId: ctx.requestId, procedure: path })
        )
      ),
      Stream.catchCause((cause) => Stream.die(toTrpcError(procedure, cause)))
    )
    yield* Stream.toAsyncIterableWith(answers, await runtime.context())
  }
}

/** The tRPC procedures of a contract, in its own shape. */
type Routers<C extends Contract> = {
  readonly [Group in keyof C]: { readonly [Name in keyof C[Group]]: Implemented<C[Group][Name]> }
}

/** The tRPC router of a contract. */
export type RouterOf<C extends Contract> = ReturnType<typeof trpc.router<Routers<C>>>

/** Makes the router of a contract from its handlers. */
export const makeRouter = <C extends Contract, R>(
  contract: C,
  handlers: Handlers<C, R>,
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  callers: Callers<NoInfer<R>>
): RouterOf<C> => {
  const implement = makeImplement(runtime, callers)
  const routers = Object.fromEntries(
    Object.entries(contract).map(([group, procedures]) => [
      group,
      Object.fromEntries(
        Object.entries(procedures).map(([name, procedure]) => {
          const handler = handlers[group]![name] as unknown as Handler<Procedure, R>
          return [name, implement(procedure, handler)]
        })
      )
    ])
  )
  return trpc.router(routers as Routers<C>)
}

/** Looks up the callers that tokens name. */
export interface Callers<R> {
  /** Whether the caller still exists: a user may have been deleted since the token was issued. */
  readonly exists: (caller: Caller) => Effect.Effect<boolean, ServiceUnavailable, R>
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

type AnswerHandler<P extends Procedure, R> = (call: Call<P>) => Effect.Effect<OutputOf<P>, ErrorOf<P>, R>
type StreamHandler<P extends Procedure, R> = (
  call: Call<P>
) => Stream.Stream<SubscriptionEvent<OutputOf<P>>, ErrorOf<P>, R>

interface ResolverOptions {
  readonly ctx: RpcContext
  readonly input: unknown
  readonly path: string
  readonly signal: AbortSignal | undefined
}

/** Who may have a number of subscriptions: a user wherever they are, or an address without a user. */
const subscriberOf = ({ address, caller }: RpcContext): string =>
  Result.isSuccess(caller) ? `user ${caller.success.userId}` : `address ${address}`

/** Completes when one of the signals is aborted. */
const abortOf = (signals: ReadonlyArray<AbortSignal | undefined>): Effect.Effect<void> => {
  const any = AbortSignal.any(signals.filter((signal) => signal !== undefined))
  return Effect.callback((resume) => {
    const abort = () => resume(Effect.void)
    if (any.aborted) return abort()
    any.addEventListener("abort", abort, { once: true })
    return Effect.sync(() => any.removeEventListener("abort", abort))
  })
}

const authorise = Effect.fnUntraced(function* (access: Access, { caller }: RpcContext) {
  if (access === "public") return undefined
  const known = yield* Effect.fromResult(caller)
  if (access === "admin" && known.role !== "admin") return yield* new Forbidden({ requiredRole: "admin" })
  return known
})

/** Only mutations have a key, so a bad header fails no other procedure. */
const idempotencyKeyOf = (procedure: Procedure, ctx: RpcContext) =>
  procedure.kind === "mutation" ? Effect.fromResult(ctx.idempotencyKey) : Effect.succeed(undefined)

/** Declared failures are answers, and interruptions are the caller's choice; neither is logged. */
const logUnexpected = (procedure: Procedure, cause: Cause.Cause<unknown>) => {
  const failure = Cause.findError(cause)
  if (Result.isSuccess(failure) && classOf(procedure.errors, failure.success) !== undefined)
    return Effect.void
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("the procedure died", cause)
}

/** tRPC passes a subscriber's `last-event-id` in the input. */
const lastEventIdOf = (input: unknown): string | undefined => {
  const id = (input as { readonly lastEventId?: unknown } | undefined | null)?.lastEventId
  return typeof id === "string" ? id : undefined
}

const toTrpcError = (procedure: Procedure, cause: Cause.Cause<unknown>): TRPCError => {
  const failure = Cause.findError(cause)
  if (Result.isSuccess(failure)) {
    const errorClass = classOf(procedure.errors, failure.success)
    const error = failure.success as DomainError
    if (errorClass !== undefined)
      return new TRPCError({ code: errorClass.code, message: error.message, cause: new Declared(error) })
  }
  if (Cause.hasInterruptsOnly(cause))
    return new TRPCError({ code: "CLIENT_CLOSED_REQUEST", message: "the request was cancelled" })
  return new TRPCError({ code: "INTERNAL_SERVER_ERROR", message: "internal error" })
}
