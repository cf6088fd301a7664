import type {
  FenceStale,
  LockLost,
  LockPolicy,
  LockScope,
  LockTimeout,
  RequestInProgress,
  ServiceUnavailable
} from "@holdfast/domain/locks"
import { Context, Effect, Tracer } from "effect"
import { holdingAll } from "./holding.ts"
import { type LockHandle, LockStack, makeHeldLock, stackFor } from "./lock-stack.ts"
import { held, type Held, type InOrder, takes, type Takes } from "./lock-types.ts"

/** How taking and holding a lock may fail, by its policy. */
export type LockFailure<Mode extends LockPolicy["mode"], Fenced extends boolean> =
  | (Mode extends "optimistic" ? RequestInProgress : LockTimeout)
  | (Fenced extends true ? FenceStale : never)
  | LockLost
  | ServiceUnavailable

/**
 * Runs the body while holding the locks of the subjects, and gives them back when it ends, however it ends. Several
 * subjects are taken in the order of their keys, each once, all or nothing.
 *
 * Fails with `RequestInProgress` (optimistic scopes) or `LockTimeout` (pessimistic ones) when the lock is not to be
 * had, and with `LockLost` when it ended under the body, which is then interrupted before the lease is over. Fenced
 * scopes fail with `FenceStale` when a later holder was at the database first. `ServiceUnavailable`: Redis is away, and
 * what the scope falls back to as well.
 *
 * Does not compile when the body takes a lock that is not after this one in the order.
 */
export const withLock =
  <
    Name extends string,
    const Order extends ReadonlyArray<string>,
    Subject,
    Mode extends LockPolicy["mode"],
    Fenced extends boolean
  >(
    scope: LockScope<Name, Order, Subject, Mode, Fenced>,
    ...subjects: readonly [NoInfer<Subject>, ...ReadonlyArray<NoInfer<Subject>>]
  ) =>
  <A, E, R>(
    body: Effect.Effect<A, E, R> & InOrder<Name, Order, R>
  ): Effect.Effect<A, E | LockFailure<Mode, Fenced>, Exclude<R, Held<Name>> | Takes<Name>> =>
    Effect.flatMap(takes(scope.name), (engine) =>
      Effect.flatMap(stackFor(scope), (stack) => {
        const lock = makeHeldLock(scope, sortedKeys(scope, subjects))
        const inside = spanned(scope.name, body as Effect.Effect<A, E, R>).pipe(
          Effect.provideContext(
            Context.add(Context.make(held(scope.name), lock as LockHandle), LockStack, [...stack, { lock }])
          )
        )
        // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
        return holdingAll(engine, lock, inside) as Effect.Effect<
          A,
          E | LockFailure<Mode, Fenced>,
          Exclude<R, Held<Name>>
        >
      })
    )

/** Spans are for those who collect them: without a tracer they would cost a section a tenth of its time for nothing. */
const spanned = <A, E, R>(scope: string, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Tracer.Tracer, (tracer) =>
    tracer === Tracer.nativeTracer
      ? body
      : Effect.withSpan(body, "lock.hold", { attributes: { "lock.scope": scope }, captureStackTrace: false })
  )

/** Asserts that a lock is held, at compile time: `const lock = yield* assertHeld(OrderCreateLock)`. */
export const assertHeld = <Name extends string>(
  scope: LockScope<Name>
): Effect.Effect<LockHandle, never, Held<Name>> => held(scope.name)

/** One global order for the keys of a scope, whoever asks for them. */
const sortedKeys = (scope: LockScope, subjects: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  [...new Set(subjects.map((subject) => scope.key(subject)))].toSorted((a, b) => (a < b ? -1 : 1))
