import {
  type Contract,
  type DomainError,
  type ErrorOf,
  InvalidInput,
  type InputOf,
  type OutputOf,
  type Procedure
} from "@holdfast/domain"
import {
  tracked,
  TRPCError,
  type TRPCMutationProcedure,
  type TRPCQueryProcedure,
  type TRPCSubscriptionProcedure
} from "@trpc/server"
import { Cause, Effect, Exit, type ManagedRuntime, Result, Schema, Stream } from "effect"
import type { CallLimit } from "../rates/call-limits.ts"
import { Subscriber } from "../live/live-queries.ts"
import {
  type Answer,
  type AnswerHandler,
  type Callers,
  isUnexpected,
  authorise,
  makeAnswer,
  makeCallOf
} from "./answer.ts"
import { type DirectCall, makeDirectCall } from "./direct.ts"
import { abridged, classOf, Declared, declaredDataOf, type WireError } from "./errors.ts"
import {
  type Call,
  type Caller,
  type Handler,
  type Handlers,
  pathOf,
  type SubscriptionEvent
} from "./handler.ts"
import { type RpcContext, trpc } from "./trpc.ts"

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

/**
 * Implements procedures. Declared failures travel as data; everything else is masked as an internal error. A
 * subscription's failure travels in its stream, because a browser's event source cannot read the body of an error
 * response.
 *
 * @param directCalls receives how single calls of the procedures are answered, by path
 */
export const makeImplement =
  <R>(
    runtime: ManagedRuntime.ManagedRuntime<R, never>,
    callers: Callers<NoInfer<R>>,
    directCalls: Map<string, DirectCall>
  ) =>
  <P extends Procedure>(procedure: P, handler: Handler<P, R>): Implemented<P> => {
    if (procedure.kind === "subscription") {
      const subscribe = makeSubscribe(
        runtime,
        procedure,
        callers.limitOf(procedure, pathOf(procedure)),
        handler as StreamHandler<P, R>
      )
      return builderOf(procedure).subscription(subscribe) as unknown as Implemented<P>
    }
    const path = pathOf(procedure)
    const answer = makeAnswer(runtime, callers, procedure, path, handler as AnswerHandler<P, R>)
    directCalls.set(path, makeDirectCall(procedure, path, answer))
    return implementAnswer(procedure, answer)
  }

/** The tRPC procedure of everything but a subscription: one answer. */
const implementAnswer = <P extends Procedure>(procedure: P, answer: Answer): Implemented<P> => {
  const resolve = async ({ ctx, input, signal }: ResolverOptions) => {
    const { promise, resolve: end } = Promise.withResolvers<Exit.Exit<unknown, unknown>>()
    const interrupt = answer(input, ctx, end)
    signal?.addEventListener("abort", interrupt, { once: true })
    const ended = await promise
    signal?.removeEventListener("abort", interrupt)
    if (Exit.isSuccess(ended)) return ended.value
    throw toTrpcError(procedure, ended.cause)
  }
  const builder = builderOf(procedure)
  return (procedure.kind === "query"
    ? builder.query(resolve)
    : builder.mutation(resolve)) as unknown as Implemented<P>
}

const builderOf = (procedure: Procedure) =>
  trpc.procedure
    .errors(({ ctx, error, shape }) => {
      const declared = declaredOf(error, shape.message)
      const errorClass = classOf(procedure.errors, declared)
      if (declared === undefined || errorClass === undefined) return undefined
      const { code, httpStatus, path } = shape.data
      return {
        ...shape,
        data: {
          code,
          httpStatus,
          ...(path === undefined ? {} : { path }),
          requestId: ctx?.requestId,
          ...declaredDataOf(errorClass, declared)
        }
      }
    })
    .input((raw: unknown) => raw)

/** The declared error behind tRPC's. Of what it cannot read as a call, tRPC says only that the request is a bad one. */
const declaredOf = ({ cause, code }: TRPCError, message: string): DomainError | undefined => {
  if (cause instanceof Declared) return cause.error
  return code === "BAD_REQUEST"
    ? new InvalidInput({ issues: [{ path: "", message: abridged(message) }] })
    : undefined
}

/** The resolver of a subscription: a stream of answers, each under its id. */
const makeSubscribe = <P extends Procedure, R>(
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  procedure: P,
  limit: CallLimit,
  handler: StreamHandler<P, R>
) => {
  const callOf = makeCallOf(procedure, limit)
  const encode = Schema.encodeEffect(procedure.output)
  return async function* ({ ctx, input, path, signal }: ResolverOptions) {
    const isOver = Effect.raceFirst(abortOf([signal, ctx.closing]), lossOfAccess(procedure, ctx))
    const answers = Stream.unwrap(Effect.map(callOf(input, ctx), handler)).pipe(
      Stream.mapEffect(({ data, id }) =>
        encode(data).pipe(
          Effect.orDie,
          Effect.map((encoded) => tracked(id, encoded))
        )
      ),
      Stream.provideService(Subscriber, subscriberOf(ctx.address, ctx.named)),
      Stream.interruptWhen(isOver),
      Stream.tapCause((cause) =>
        isUnexpected(procedure, cause)
          ? Effect.annotateLogs(Effect.logError("the procedure died", cause), {
              requestId: ctx.requestId,
              procedure: path
            })
          : Effect.void
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

/** What answers the calls of a contract. */
interface Rpc<C extends Contract> {
  readonly router: RouterOf<C>
  /** How single calls are answered, by the paths of their procedures. */
  readonly directCalls: ReadonlyMap<string, DirectCall>
}

/** Makes the router of a contract from its handlers. */
export const makeRpc = <C extends Contract, R>(
  contract: C,
  handlers: Handlers<C, R>,
  runtime: ManagedRuntime.ManagedRuntime<R, never>,
  callers: Callers<NoInfer<R>>
): Rpc<C> => {
  const directCalls = new Map<string, DirectCall>()
  const implement = makeImplement(runtime, callers, directCalls)
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
  return { router: trpc.router(routers as Routers<C>), directCalls }
}

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
const subscriberOf = (address: string, caller: Result.Result<Caller, unknown>): string =>
  Result.isSuccess(caller) ? `user ${caller.success.userId}` : `address ${address}`

/** How often a subscription's caller is verified again. */
const VERIFIED_EVERY_MS = 2_000

/**
 * Fails when the caller has lost the right to go on: the token has expired or the session has ended. While the database
 * is away nobody can tell, and there is nothing new to send either.
 */
const lossOfAccess = ({ access }: Procedure, ctx: RpcContext) =>
  access === "public"
    ? Effect.never
    : Effect.sleep(VERIFIED_EVERY_MS).pipe(
        Effect.andThen(
          Effect.suspend(() =>
            Effect.catchTag(authorise(access, ctx), "ServiceUnavailable", () => Effect.void)
          )
        ),
        Effect.forever
      )

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
