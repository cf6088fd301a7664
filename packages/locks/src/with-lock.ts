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
import type { AcquireFailure, LockEngine } from "./engine.ts"
import { whileLeased } from "./lease-watchdog.ts"
import { type HeldLock, type LockHandle, LockStack, makeHeldLock, stackFor } from "./lock-stack.ts"
import { held, type Held, type InOrder, takes, type Takes } from "./lock-types.ts"

/** How acquiring and holding a lock may fail, by the policy of its scope. */
export type LockFailure<Mode extends LockPolicy["mode"], Fenced extends boolean> =
  | (Mode extends "optimistic" ? RequestInProgress : LockTimeout)
  | (Fenced extends true ? FenceStale : never)
  | LockLost
  | ServiceUnavailable

/**
 * Runs the body while holding the locks of the subjects, and releases them however the body ends. Several subjects are
 * locked in the order of their keys, each once, all or nothing.
 *
 * Fails with `RequestInProgress` (optimistic scopes) or `LockTimeout` (pessimistic ones) when the lock is not free, and
 * with `LockLost` when it ends under the body, which is interrupted before the lease is over. Fenced scopes fail with
 * `FenceStale` when a later holder reached the database first. `ServiceUnavailable`: Redis and the fallback of the scope
 * are both away.
 *
 * Does not compile when the body takes a lock that does not come after this one in the order.
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

/** Without a tracer, a span would only cost a tenth of an empty section's time. */
const spanned = <A, E, R>(scope: string, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Tracer.Tracer, (tracer) =>
    tracer === Tracer.nativeTracer
      ? body
      : Effect.withSpan(body, "lock.hold", { attributes: { "lock.scope": scope }, captureStackTrace: false })
  )

/** Demands, at compile time, that a lock of the scope is held: `const lock = yield* assertHeld(OrderCreateLock)`. */
export const assertHeld = <Name extends string>(
  scope: LockScope<Name>
): Effect.Effect<LockHandle, never, Held<Name>> => held(scope.name)

/** One global order for the keys of a scope, so that callers with several keys cannot block each other. */
const sortedKeys = (scope: LockScope, subjects: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  [...new Set(subjects.map((subject) => scope.key(subject)))].toSorted((a, b) => (a < b ? -1 : 1))

/** Why a body had to stop. */
type BodyStopped = LockLost | FenceStale

/** Acquires the keys of a lock one after another, each while holding those before it, and runs the body inside. */
const holdingAll = <A, E, R>(
  engine: LockEngine,
  lock: HeldLock,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | AcquireFailure | BodyStopped, R> => {
  const { mode, waitMs } = lock.definition.policy
  const waitUntilMs = mode === "pessimistic" ? performance.now() + waitMs : undefined
  return lock.keys.reduceRight<Effect.Effect<A, E | AcquireFailure | BodyStopped, R>>(
    (inside, key) => holding(engine, lock, key, waitUntilMs, inside),
    failingWith(lock, body)
  )
}

/** Replaces the body's result by the lock's failure, if there is one. */
const failingWith = <A, E, R>(
  lock: HeldLock,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | BodyStopped, R> => {
  const unless = (result: Effect.Effect<A, E>): Effect.Effect<A, E | BodyStopped> =>
    lock.failure === undefined ? result : Effect.fail(lock.failure)
  return Effect.matchCauseEffect(body, {
    onSuccess: (a) => unless(Effect.succeed(a)),
    onFailure: (cause) => unless(Effect.failCause(cause))
  })
}

/**
 * Holds one key while the inner effect runs. Interruption is restored only where it leaves nothing behind: while
 * waiting, and while the inner effect runs.
 */
const holding = <A, E, R>(
  engine: LockEngine,
  lock: HeldLock,
  key: string,
  waitUntilMs: number | undefined,
  inside: Effect.Effect<A, E, R>
): Effect.Effect<A, E | AcquireFailure | LockLost, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(engine.acquire(lock.definition, key, waitUntilMs, restore), (lease) => {
      lock.leases.push(lease)
      const acquiredAtMs = performance.now()
      return restore(whileLeased(lock, lease, inside)).pipe(
        Effect.onExit(() => {
          lock.active = false
          return Effect.map(engine.release(lock.definition, lease, acquiredAtMs), (outcome) => {
            if (lock.outcome?._tag !== "Overrun") lock.outcome = outcome
          })
        })
      )
    })
  )
