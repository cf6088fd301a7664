import type {
  FenceStale,
  LockLost,
  LockPolicy,
  LockScope,
  LockTimeout,
  RequestInProgress,
  ServiceUnavailable
} from "@holdfast/domain"
import { Effect } from "effect"
import { holdingAll } from "./holding.ts"
import { type LockHandle, LockStack, makeHeldLock, stackFor } from "./lockStack.ts"
import { held, type Held, type InOrder, takes, type Takes } from "./marks.ts"

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
    Effect.gen(function* () {
      const engine = yield* takes(scope.name)
      const stack = yield* stackFor(scope)
      const lock = makeHeldLock(scope, sortedKeys(scope, subjects))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- without the check, the body is a plain effect
      const inside = (body as Effect.Effect<A, E, R>).pipe(
        Effect.withSpan("lock.hold", { attributes: { "lock.scope": scope.name } }, NO_STACK_TRACE),
        Effect.provideService(held(scope.name), lock as LockHandle),
        Effect.provideService(LockStack, [...stack, { lock }])
      )
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the engine fails as the policy of the scope says
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      return yield* holdingAll(engine, lock, inside) as Effect.Effect<
        A,
        E | LockFailure<Mode, Fenced>,
        Exclude<R, Held<Name>>
      >
    })

/** Finding out where a span was opened costs more than the span. */
const NO_STACK_TRACE = { captureStackTrace: false } as const

/** Asserts that a lock is held, at compile time: `const lock = yield* assertHeld(OrderCreateLock)`. */
export const assertHeld = <Name extends string>(
  scope: LockScope<Name>
): Effect.Effect<LockHandle, never, Held<Name>> => held(scope.name)

/** One global order for the keys of a scope, whoever asks for them. */
const sortedKeys = (scope: LockScope, subjects: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  [...new Set(subjects.map((subject) => scope.key(subject)))].toSorted((a, b) => (a < b ? -1 : 1))
