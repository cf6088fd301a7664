import { AsyncLocalStorage } from "node:async_hooks"
import { FenceStale, type LockOrder, type LockScope, type LockScopeDefinition } from "@holdfast/domain/locks"
import { Cause, Effect, Exit, Layer, ManagedRuntime, Redacted } from "effect"
import { type RedisClient, type RedisConnection, RedisStore } from "./redis/client.ts"
import type { QueueTimings } from "./backends/queue/protocol.ts"
import { advanceFence, type FenceStatement, mintAtFence } from "./fencing.ts"
import type { LockInfo, ReleaseOutcome } from "./backend.ts"
import { Locks } from "./layer.ts"
import { type HeldLock, type LockHandle, LockStack } from "./lock-stack.ts"
import { held, type Takes } from "./lock-types.ts"
import { namedLocks } from "./backends/mysql.ts"
import { withLock } from "./with-lock.ts"

/** Where the locks are, and the times of their queue. */
export interface CreateLocksOptions extends QueueTimings {
  /** Where Redis is, or an ioredis client that the program made and closes itself. */
  readonly redis: RedisConnection | RedisClient
  /** The database of the named locks that are the fallback: `mysql://user:password@host:port/database`. */
  readonly database?: string
}

/** Options of one acquisition. */
export interface RunOptions {
  /** Ends the wait, or stops the body. */
  readonly signal?: AbortSignal
}

/** A lock taken by `acquire`. The caller releases it, or `await using` does. */
export interface AcquiredLock extends LockHandle, AsyncDisposable {
  /** Aborted when the lock ends before it is released. */
  readonly signal: AbortSignal
  /** Gives `Overrun` when the lock had ended before. Idempotent. */
  readonly release: () => Promise<ReleaseOutcome>
}

/** Locks for code without Effect. The lock order is checked at run time. */
export interface LocksClient extends AsyncDisposable {
  /**
   * Runs the body under the lock and resolves to its result. When the lock ends before the body does, the signal is
   * aborted and `run` rejects with `LockLost` without waiting for the body. Also rejects with the body's error,
   * `LockTimeout`, `RequestInProgress`, `ServiceUnavailable`, or with `LockOrderViolation` when a lock is out of order.
   */
  readonly run: <Subject, A>(
    scope: LockScope<string, ReadonlyArray<string>, Subject>,
    subject: NoInfer<Subject>,
    body: (signal: AbortSignal, lock: LockHandle) => Promise<A>,
    options?: RunOptions
  ) => Promise<A>
  /** Acquires the lock for the caller to release. Rejects like `run`. Prefer `run`. */
  readonly acquire: <Subject>(
    scope: LockScope<string, ReadonlyArray<string>, Subject>,
    subject: NoInfer<Subject>,
    options?: RunOptions
  ) => Promise<AcquiredLock>
  /** All held locks with their queues; at most `limit` (default 1,000) of them. */
  readonly list: (limit?: number) => Promise<ReadonlyArray<LockInfo>>
  readonly close: () => Promise<void>
}

/** Connects to Redis and makes the locks of an order available to code without Effect. */
export const createLocks = <const Definitions extends ReadonlyArray<LockScopeDefinition>>(
  order: LockOrder<Definitions>,
  options: CreateLocksOptions
): LocksClient => {
  const { database, redis, ...timings } = options
  const store = "status" in redis ? RedisStore.fromClient(redis) : RedisStore.layer(redis)
  const fallback = database === undefined ? {} : { namedLocks: namedLocks({ url: Redacted.make(database) }) }
  const layer = Locks.layer(order, { ...timings, ...fallback }).pipe(Layer.provide(store))
  const runtime = ManagedRuntime.make(layer)
  return makeClient(runtime)
}

type Stack = typeof LockStack.Service
type Runtime = ManagedRuntime.ManagedRuntime<Locks | Takes<string>, never>

const makeClient = (runtime: Runtime): LocksClient => {
  const stacks = new AsyncLocalStorage<Stack>()

  const run: LocksClient["run"] = async (scope, subject, body, options = {}) => {
    const inside = Effect.gen(function* () {
      const stack = yield* LockStack
      const lock = yield* held(scope.name)
      return yield* Effect.tryPromise({
        try: (signal) => stacks.run(stack, () => body(signal, lock)),
        catch: (cause) => new Thrown(cause)
      })
    })
    const locked = withLock(
      scope,
      subject
    )(inside).pipe(Effect.provideService(LockStack, stacks.getStore() ?? []))
    return valueOf(await runtime.runPromiseExit(locked, options))
  }

  const acquire: LocksClient["acquire"] = (scope, subject, options = {}) =>
    new Promise((resolve, reject) => {
      const lost = new AbortController()
      let letGo = () => {}
      let taken: HeldLock | undefined
      const ended: Promise<void> = run(
        scope,
        subject,
        (signal, lock) => {
          taken = lock as HeldLock
          signal.addEventListener("abort", () => lost.abort(signal.reason), { once: true })
          const released = new Promise<void>((done) => (letGo = done))
          resolve(acquired(lock, lost.signal, release))
          return released
        },
        options
      )
      const release = async (): Promise<ReleaseOutcome> => {
        letGo()
        await ended.catch(() => {})
        return taken?.outcome ?? { _tag: "Overrun", reason: "unconfirmed" }
      }
      ended.catch(reject)
    })

  const list: LocksClient["list"] = (limit) =>
    runtime.runPromise(Effect.flatMap(Locks, (locks) => locks.list(limit)))
  const close = () => runtime.dispose()
  return { run, acquire, list, close, [Symbol.asyncDispose]: close }
}

/** An error of the body, told apart from the failures of the lock. */
class Thrown {
  readonly cause: unknown
  constructor(cause: unknown) {
    this.cause = cause
  }
}

const valueOf = <A>(exit: Exit.Exit<A, unknown>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  const error = Cause.squash(exit.cause)
  throw error instanceof Thrown ? error.cause : error
}

const acquired = (
  lock: LockHandle,
  signal: AbortSignal,
  release: () => Promise<ReleaseOutcome>
): AcquiredLock => ({
  scope: lock.scope,
  keys: lock.keys,
  token: lock.token,
  signal,
  release,
  [Symbol.asyncDispose]: async () => void (await release())
})

/**
 * Advances the fences of a lock as the first statements of the caller's transaction, for code that does not use
 * `inTransaction`. Rejects with `FenceStale` when a later holder was first; the caller then rolls back.
 */
export const passFences = async (lock: LockHandle, run: FenceStatement<Promise<number>>): Promise<void> => {
  for (const key of lock.keys) {
    const token = lock.token(key)
    if (token === undefined) {
      await mintAtFence(run, key)
      continue
    }
    const latestToken = await advanceFence(run, key, token)
    if (latestToken > token) throw new FenceStale({ scope: lock.scope, key, token, latestToken })
  }
}
