import {
  type Access,
  type DecodedInputOf,
  type DomainError,
  type ErrorOf,
  Forbidden,
  type InputOf,
  type OutputOf,
  type Procedure
} from "@holdfast/domain"
import { TRPCError, type TRPCMutationProcedure, type TRPCQueryProcedure } from "@trpc/server"
import { Cause, Effect, Exit, type ManagedRuntime, Result, Schema } from "effect"
import type { Caller, RequestInfo } from "./Request.ts"
import { type RpcContext, trpc } from "./trpc.ts"
import { classOf, Declared, invalidInputOf, type WireError } from "./wire.ts"

/** What a handler gets: the decoded input, the caller where the procedure asks for one, the request. */
export interface Call<P extends Procedure> {
  readonly input: DecodedInputOf<P>
  readonly caller: P["access"] extends "public" ? undefined : Caller
  readonly request: RequestInfo
}

/** The business of one procedure. A failure that the contract does not declare does not compile. */
export type Handler<P extends Procedure, R> = (call: Call<P>) => Effect.Effect<OutputOf<P>, ErrorOf<P>, R>

/** The tRPC procedure that a contract's procedure becomes. */
export type Implemented<P extends Procedure> = P["kind"] extends "query"
  ? TRPCQueryProcedure<Definition<P>>
  : TRPCMutationProcedure<Definition<P>>

export interface Definition<P extends Procedure> {
  readonly input: InputOf<P>
  readonly output: P["output"]["Encoded"]
  readonly meta: object
  readonly errorShape: WireError<P>
}

/** A request that takes longer than this is interrupted and told to come back; its transaction rolls back. */
const REQUEST_DEADLINE_MS = 30_000

/**
 * The only place where Effect and tRPC meet. Decodes the input, checks the access, runs the handler as a fiber that
 * the request's abort signal interrupts, encodes the output. Declared failures travel as data; anything else is
 * masked as an internal error and logged with the request's id.
 */
export const makeImplement =
  <R>(runtime: ManagedRuntime.ManagedRuntime<R, never>) =>
  <P extends Procedure>(procedure: P, handler: Handler<P, R>): Implemented<P> => {
    const decode = Schema.decodeUnknownEffect(procedure.input, { errors: "all" })
    const encode = Schema.encodeEffect(procedure.output)

    const answer = (input: unknown, ctx: RpcContext) =>
      Effect.gen(function* () {
        const caller = yield* authorise(procedure.access, ctx)
        const decoded = yield* decode(input ?? {}).pipe(Effect.mapError(invalidInputOf))
        const request = { requestId: ctx.requestId, idempotencyKey: yield* idempotencyKeyOf(procedure, ctx) }
        const output = yield* handler({ input: decoded, caller: caller as never, request })
        return yield* encode(output).pipe(Effect.orDie)
      }).pipe(
        Effect.timeoutOrElse({
          duration: REQUEST_DEADLINE_MS,
          orElse: () => Effect.die(new Error(`no answer within ${REQUEST_DEADLINE_MS} ms`))
        })
      )

    const resolve = async ({ ctx, input, path, signal }: ResolverOptions) => {
      const traced = answer(input, ctx).pipe(
        Effect.tapCause((cause) => logUnexpected(procedure, cause)),
        Effect.annotateLogs({ requestId: ctx.requestId, procedure: path })
      )
      const exit = await runtime.runPromiseExit(traced, { signal })
      if (Exit.isSuccess(exit)) return exit.value
      throw toTrpcError(procedure, exit.cause)
    }

    const builder = trpc.procedure.errors(({ ctx, error, shape }) => {
      if (!(error.cause instanceof Declared)) return undefined
      const declared = error.cause.error
      const errorClass = classOf(procedure.errors, declared)
      if (errorClass === undefined) return undefined
      const { retryAfterMs } = declared
      return {
        ...shape,
        data: {
          code: shape.data.code,
          httpStatus: shape.data.httpStatus,
          ...(shape.data.path === undefined ? {} : { path: shape.data.path }),
          requestId: ctx?.requestId,
          retryable: declared.retryable,
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
          domain: Schema.encodeUnknownSync(errorClass)(declared)
        }
      }
    })
    const withInput = builder.input((raw: unknown) => raw)
    const built = procedure.kind === "query" ? withInput.query(resolve) : withInput.mutation(resolve)
    return built as unknown as Implemented<P>
  }

interface ResolverOptions {
  readonly ctx: RpcContext
  readonly input: unknown
  readonly path: string
  readonly signal: AbortSignal | undefined
}

const authorise = Effect.fnUntraced(function* (access: Access, { caller }: RpcContext) {
  if (access === "public") return undefined
  const known = yield* Effect.fromResult(caller)
  if (access === "admin" && known.role !== "admin") return yield* new Forbidden({ requiredRole: "admin" })
  return known
})

/** Only mutations have a key: a bad header does not disturb the others. */
const idempotencyKeyOf = (procedure: Procedure, ctx: RpcContext) =>
  procedure.kind === "mutation" ? Effect.fromResult(ctx.idempotencyKey) : Effect.succeed(undefined)

/** Declared failures are answers, not incidents; an interruption is the caller's own wish. */
const logUnexpected = (procedure: Procedure, cause: Cause.Cause<unknown>) => {
  const failure = Cause.findError(cause)
  if (Result.isSuccess(failure) && classOf(procedure.errors, failure.success) !== undefined)
    return Effect.void
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("the procedure died", cause)
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
