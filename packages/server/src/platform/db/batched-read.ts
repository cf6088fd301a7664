import type { ServiceUnavailable } from "@holdfast/domain"
import { Deferred, Effect, type Scope, Semaphore } from "effect"
import type { Database } from "./database.ts"

/** Keys that one statement reads. */
const BATCH = 1_000

/** How long a key that nobody waits for may wait for others. */
const UNHURRIED_MS = 100

/** Reads rows by their keys, for all who ask meanwhile. */
export interface BatchedRead<K, A> {
  /** The row of the key, as it was after the call began; `undefined`: there is none. */
  readonly awaited: (key: K) => Effect.Effect<A | undefined, ServiceUnavailable>
  /** Has the key read soon. It costs its caller next to nothing: one fiber waits for as many as come meanwhile. */
  readonly inBackground: (key: K) => void
}

interface BatchedReadOptions {
  /** The pause between two reads: under load it lets more keys share one, and a lone caller may wait for it. Default: 0. */
  readonly pauseMs?: number
}

/** The keys that the next read reads, and who waits for it. */
interface NextRead<K, A> {
  readonly keys: Set<K>
  readonly done: Deferred.Deferred<ReadonlyMap<K, A>, ServiceUnavailable>
}

/** Makes reads that share statements, one statement at a time. Nobody gets what was read before they asked. */
export const makeBatchedRead = <K, A>(
  readBatch: (keys: ReadonlyArray<K>) => Effect.Effect<ReadonlyMap<K, A>, ServiceUnavailable, Database>,
  { pauseMs = 0 }: BatchedReadOptions = {}
): Effect.Effect<BatchedRead<K, A>, never, Database | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const context = yield* Effect.context<Database>()
    const mutex = yield* Semaphore.make(1)
    /** What nobody waits for. The next read reads it, too. */
    const unhurried = new Set<K>()
    let next: NextRead<K, A> | undefined
    let lastReadMs = Number.NEGATIVE_INFINITY
    const readNext = Effect.gen(function* () {
      const restMs = lastReadMs + pauseMs - performance.now()
      if (restMs > 0) yield* Effect.sleep(restMs)
      const { done, keys } = next!
      next = undefined
      for (const key of unhurried) keys.add(key)
      unhurried.clear()
      const exit = yield* Effect.exit(readAll([...keys], readBatch))
      lastReadMs = performance.now()
      yield* Deferred.done(done, exit)
    }).pipe(mutex.withPermits(1), Effect.provideContext(context))
    const fork = (effect: Effect.Effect<void>) => Effect.runFork(Effect.forkIn(effect, scope))
    /** The next read, which begins when nobody reads. */
    const joinNext = (): NextRead<K, A> => {
      if (next === undefined) {
        next = { keys: new Set(), done: Deferred.makeUnsafe() }
        fork(readNext)
      }
      return next
    }
    const readUnhurried = Effect.sync(() => void (unhurried.size > 0 && joinNext()))
    return {
      awaited: (key) =>
        Effect.suspend(() => {
          const { done, keys } = joinNext()
          keys.add(key)
          return Effect.map(Deferred.await(done), (rows) => rows.get(key))
        }),
      inBackground: (key) => {
        if (unhurried.size === 0) fork(Effect.delay(readUnhurried, UNHURRIED_MS))
        unhurried.add(key)
      }
    }
  })

const readAll = <K, A, E, R>(
  keys: ReadonlyArray<K>,
  readBatch: (keys: ReadonlyArray<K>) => Effect.Effect<ReadonlyMap<K, A>, E, R>
): Effect.Effect<ReadonlyMap<K, A>, E, R> => {
  if (keys.length <= BATCH) return readBatch(keys)
  const batches = Array.from({ length: Math.ceil(keys.length / BATCH) }, (_, n) =>
    keys.slice(n * BATCH, (n + 1) * BATCH)
  )
  return Effect.map(Effect.forEach(batches, readBatch), (read) => new Map(read.flatMap((rows) => [...rows])))
}
