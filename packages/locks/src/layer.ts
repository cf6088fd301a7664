import type { LockOrder, LockScope, LockScopeDefinition, ServiceUnavailable } from "@holdfast/domain/locks"
import { Context, Effect, Layer, type Scope } from "effect"
import type { LockBackend, LockInfo } from "./backend.ts"
import type { QueueTimings } from "./backends/queue/protocol.ts"
import { queueBackend } from "./backends/queue/queue-backend.ts"
import { semaphoreBackend } from "./backends/semaphore.ts"
import { type LockEngine, makeLockEngine, storeAway } from "./engine.ts"
import { type Takes, takes } from "./lock-types.ts"
import { RedisStore } from "./redis/client.ts"

/** The lock types of all scopes of an order, which `Locks.layer` provides. */
export type TakesAll<Definitions extends ReadonlyArray<LockScopeDefinition>> = {
  [Name in Definitions[number]["name"]]: Takes<Name>
}[Definitions[number]["name"]]

/** What `Locks.layer` needs beside Redis. */
export interface LocksOptions {
  /** The fallback of scopes with `fallback: "database"`; without it they fail while Redis is away. */
  readonly namedLocks?: Effect.Effect<LockBackend, never, Scope.Scope>
}

/** Where the locks are held. */
export interface LockStores extends LocksOptions {
  readonly mutexes: Effect.Effect<LockBackend, never, Scope.Scope>
  /** For scopes with more than one permit. */
  readonly semaphores?: Effect.Effect<LockBackend, never, Scope.Scope>
}

const DEFAULT_LIST_LIMIT = 1_000

/** The locks of a process, for monitoring. To take a lock, see `withLock`, which needs only the layer. */
export class Locks extends Context.Service<
  Locks,
  {
    /** All held locks with their queues; at most `limit` (default 1,000) of them. */
    readonly list: (limit?: number) => Effect.Effect<ReadonlyArray<LockInfo>, ServiceUnavailable>
    /** Whether locks are taken in Redis, or by the fallback of each scope. */
    readonly isStoreUp: () => boolean
    readonly engine: LockEngine
  }
>()("@holdfast/locks/Locks") {
  /** Locks in Redis: mutexes with a queue, and counting semaphores. */
  static readonly layer = <const Definitions extends ReadonlyArray<LockScopeDefinition>>(
    order: LockOrder<Definitions>,
    options: LocksOptions & QueueTimings = {}
  ): Layer.Layer<Locks | TakesAll<Definitions>, never, RedisStore> =>
    Layer.unwrap(
      Effect.map(RedisStore, (store) =>
        Locks.layerOf(order, {
          ...options,
          mutexes: queueBackend(store, options),
          semaphores: semaphoreBackend(store, options)
        })
      )
    )

  /** Locks in other stores, such as a quorum of Redis servers. */
  static readonly layerOf = <const Definitions extends ReadonlyArray<LockScopeDefinition>>(
    order: LockOrder<Definitions>,
    stores: LockStores
  ): Layer.Layer<Locks | TakesAll<Definitions>> =>
    Layer.effectContext(
      Effect.gen(function* () {
        const mutexes = yield* stores.mutexes
        const engine = makeLockEngine({
          mutexes,
          semaphores: yield* stores.semaphores ?? absent,
          namedLocks: yield* stores.namedLocks ?? absent
        })
        return contextOf(order, { engine, list: listWith(mutexes, order), isStoreUp: mutexes.isUp })
      })
    )
}

const absent = Effect.succeed(undefined)

/** One engine under the lock type of every scope. */
const contextOf = <Definitions extends ReadonlyArray<LockScopeDefinition>>(
  order: LockOrder<Definitions>,
  locks: Locks["Service"]
): Context.Context<Locks | TakesAll<Definitions>> => {
  const lockTypes = order.names.map((name) => Context.make(takes(name), locks.engine))
  return Context.mergeAll(Context.make(Locks, locks), ...lockTypes) as Context.Context<
    Locks | TakesAll<Definitions>
  >
}

const listWith =
  (backend: LockBackend, order: LockOrder): Locks["Service"]["list"] =>
  (limit = DEFAULT_LIST_LIMIT) =>
    backend.list(limit).pipe(
      Effect.map((locks) => locks.map((lock) => ({ ...lock, scope: scopeOf(order, lock.key) }))),
      Effect.mapError(storeAway)
    )

const scopeOf = (order: LockOrder, key: string): string | null => {
  const scopes: ReadonlyArray<LockScope> = Object.values(order.scopes)
  return scopes.find(({ prefix }) => key.startsWith(prefix))?.name ?? null
}
