import { Deferred, Effect, Exit, type Scope } from "effect"

/**
 * Shares reads of the same key: callers that arrive during a read wait together for the next one. At most one read of a
 * key runs at a time, and no caller gets a value that was read before it asked, unlike from a cache.
 *
 * Reads run in the scope, so that interrupting one caller does not interrupt the others.
 */
export const makeCoalesced = <K extends string, A, E, R>(
  read: (key: K) => Effect.Effect<A, E, R>
): Effect.Effect<(key: K) => Effect.Effect<A, E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const context = yield* Effect.context<R>()
    /** The next read of each key that is being read. */
    const next = new Map<K, Deferred.Deferred<A, E> | undefined>()

    const readUntilNobodyWaits = (key: K, first: Deferred.Deferred<A, E>): Effect.Effect<void> =>
      Effect.gen(function* () {
        let waiting: Deferred.Deferred<A, E> | undefined = first
        while (waiting !== undefined) {
          next.set(key, undefined)
          const exit: Exit.Exit<A, E> = yield* Effect.exit(Effect.provideContext(read(key), context))
          yield* Deferred.done(waiting, exit)
          waiting = next.get(key)
        }
      }).pipe(Effect.ensuring(Effect.sync(() => next.delete(key))))

    return (key) =>
      Effect.suspend(() => {
        const waiting = next.get(key) ?? Deferred.makeUnsafe<A, E>()
        const isBeingRead = next.has(key)
        if (isBeingRead) next.set(key, waiting)
        const started = isBeingRead
          ? Effect.void
          : Effect.forkIn(readUntilNobodyWaits(key, waiting), scope, { startImmediately: true })
        return Effect.andThen(started, Deferred.await(waiting))
      })
  })
