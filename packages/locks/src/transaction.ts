/**
 * `inTransaction` for any database. It keeps locks and transactions out of its body, advances the fences at the beginning
 * and checks the leases before the commit. A {@link TransactionBackend} begins and ends the transaction.
 */
import { FenceStale, LockLost } from "@holdfast/domain/locks"
import { type Context, Effect, Exit } from "effect"
import { advanceFence, advanceFences, type FenceStatement, mintAtFence } from "./fencing.ts"
import { type HeldLock, locksOf, LockStack, stackForTransaction } from "./lock-stack.ts"
import type { LockFree } from "./lock-types.ts"

/** Opens and ends transactions of one database. */
export interface TransactionBackend<Handle, E> {
  /** When it is interrupted, it leaves no transaction open. */
  readonly begin: Effect.Effect<Handle, E>
  readonly commit: (handle: Handle) => Effect.Effect<void, E>
  readonly rollback: (handle: Handle) => Effect.Effect<void>
  /** Runs a statement in the open transaction, see {@link FenceStatement}. */
  readonly fence: (handle: Handle) => FenceStatement<Effect.Effect<number, E>>
}

/**
 * Makes the `inTransaction` of a database from two services: `tx` is the open transaction that the body requires, and
 * `opener` opens it.
 *
 * `inTransaction` runs the body in one transaction: it commits when the body succeeds and rolls back when it fails or is
 * interrupted. It does not compile when the body takes a lock or opens a transaction. Under a fenced lock the first
 * statement advances the fence. When a lock has ended, the transaction is rolled back and the surrounding `withLock`
 * fails with `LockLost` or `FenceStale`.
 */
export const makeInTransaction =
  <TxId, Handle, Opener, E0>(
    tx: Context.Service<TxId, Handle>,
    opener: Context.Service<Opener, TransactionBackend<Handle, E0>>
  ) =>
  <A, E, R>(
    body: Effect.Effect<A, E, R> & LockFree<R, Opener>
  ): Effect.Effect<A, E | E0, Exclude<R, TxId> | Opener> =>
    Effect.gen(function* () {
      const backend = yield* opener
      const stack = yield* stackForTransaction
      const locks = locksOf(stack)
      const transaction = { active: true }
      const inside = (body as Effect.Effect<A, E, R>).pipe(
        Effect.provideService(LockStack, [...stack, { transaction }])
      )
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* assertLeases(locks)
          const handle = yield* restore(backend.begin)
          const exit = yield* restore(
            passFences(locks, backend.fence(handle)).pipe(
              Effect.andThen(Effect.provideService(inside, tx, handle)),
              Effect.tap(() => assertLeases(locks))
            )
          ).pipe(Effect.exit)
          transaction.active = false
          if (Exit.isFailure(exit)) {
            yield* backend.rollback(handle)
            return yield* exit
          }
          yield* backend.commit(handle)
          return exit.value
        })
      )
    })

/** Advances the fences of all fenced locks, as the first statements of the transaction. */
const passFences = <E>(
  locks: ReadonlyArray<HeldLock>,
  run: FenceStatement<Effect.Effect<number, E>>
): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    const fenced = locks
      .filter(({ definition }) => definition.policy.fenced)
      .flatMap((lock) => lock.leases.map(({ key, token }) => ({ lock, key, token })))
    if (fenced.length === 0) return Effect.void
    const withoutToken = fenced.filter(({ token }) => token === undefined)
    const withToken = fenced.filter((lease): lease is FencedLease => lease.token !== undefined)
    const mint = Effect.forEach(withoutToken, ({ key }) => mintAtFence(run, key), { discard: true })
    if (withToken.length === 0) return mint
    return advanceFences(run, withToken).pipe(
      Effect.flatMap((greater) => (greater === 0 ? Effect.void : endStale(withToken, run))),
      Effect.andThen(mint)
    )
  })

interface FencedLease {
  readonly lock: HeldLock
  readonly key: string
  readonly token: number
}

/** Finds out which of the locks a later holder has overtaken. */
const endStale = <E>(
  leases: ReadonlyArray<FencedLease>,
  run: FenceStatement<Effect.Effect<number, E>>
): Effect.Effect<void, E> =>
  Effect.forEach(
    leases,
    ({ key, lock, token }) =>
      Effect.map(advanceFence(run, key, token), (latestToken) => {
        if (latestToken > token)
          lock.failure ??= new FenceStale({ scope: lock.scope, key, token, latestToken })
      }),
    { discard: true }
  ).pipe(Effect.andThen(Effect.interrupt))

/**
 * Checks the leases by the local clock once more before the commit. A process that was stopped, or whose event loop was
 * busy, may have missed the moment at which its body had to stop. The `withLock` of an ended lock then fails with the
 * failure noted here.
 */
const assertLeases = (locks: ReadonlyArray<HeldLock>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const now = performance.now()
    let hasEnded = false
    for (const lock of locks) {
      const ended = lock.leases.find((lease) => lease.endsAtMs() <= now)
      if (ended === undefined) continue
      hasEnded = true
      lock.failure ??= new LockLost({ scope: lock.scope, key: ended.key, reason: "lease" })
    }
    return hasEnded ? Effect.interrupt : Effect.void
  })
