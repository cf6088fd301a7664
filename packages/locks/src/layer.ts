import {
  type LockOrder,
  type LockScope,
  type LockScopeDefinition,
  ServiceUnavailable
} from "@holdfast/domain/locks"
import { Context, Effect, Layer, type Scope } from "effect"
import { RedisStore } from "./redis/store.ts"
import { makeAvailability } from "./redis/breaker.ts"
import { queueBackend } from "./backends/queue/queue.ts"
import { DEFAULT_TIMINGS, type QueueTimings } from "./backends/queue/protocol.ts"
import type { LockBackend, LockInfo } from "./backend.ts"
import { type LockEngine, makeLockEngine } from "./engine.ts"
import { type Takes, takes } from "./lock-types.ts"
import { semaphoreBackend } from "./backends/semaphore.ts"

/** All marks of an order: what `Locks.layer` discharges. */
export type TakesAll<Definitions extends ReadonlyArray<LockScopeDefinition>> = {
  [Name in Definitions[number]["name"]]: Takes<Name>
}[Definitions[number]["name"]]

export interface LocksOptions {
  /** What scopes with `fallback: "database"` fall back to; without it they fail while Redis is away. */
  readonly namedLocks?: Effect.Effect<LockBackend, never, Scope.Scope>
}

/** Where the locks are held. */
export interface LockStores extends LocksOptions {
  readonly mutexes: Effect.Effect<LockBackend, never, Scope.Scope>
  /** For scopes with more than one permit. */
  readonly semaphores?: Effect.Effect<LockBackend, never, Scope.Scope>
}

const DEFAULT_LIST_LIMIT = 1_000

/** The locks of a process, for those who watch over it. Taking one needs no service but the layer: see `withLock`. */
export class Locks extends Context.Service<
  Locks,
  {
    /** The locks that anybody holds, with their lines; at most `limit` (default 1,000) of them. */
    readonly list: (limit?: number) => Effect.Effect<ReadonlyArray<LockInfo>, ServiceUnavailable>
    /** Whether locks are taken in Redis, or by what the scopes fall back to. */
    readonly isStoreUp: () => boolean
    readonly engine: LockEngine
  }
>()("@holdfast/server/Locks") {
  /** Locks in Redis: mutexes with a queue, and counting semaphores. */
  static readonly layer = <const Definitions extends ReadonlyArray<LockScopeDefinition>>(
    order: LockOrder<Definitions>,
    options: LocksOptions & QueueTimings = {}
  ): Layer.Layer<Locks | TakesAll<Definitions>, never, RedisStore> =>
    Layer.unwrap(
      Effect.map(RedisStore, ({ client }) =>
        Locks.layerOf(order, {
          ...options,
          mutexes: queueBackend(client, options),
          semaphores: semaphoreBackend(client, options.answerWithinMs ?? DEFAULT_TIMINGS.answerWithinMs)
        })
      )
    )

  /** Locks in stores of one's choice, such as a quorum of Redis servers. */
  static readonly layerOf = <const Definitions extends ReadonlyArray<LockScopeDefinition>>(
    order: LockOrder<Definitions>,
    stores: LockStores
  ): Layer.Layer<Locks | TakesAll<Definitions>> =>
    Layer.effectContext(
      Effect.gen(function* () {
        const backend = yield* stores.mutexes
        const availability = yield* makeAvailability(backend.ping)
        const engine = makeLockEngine({
          backend,
          semaphores: yield* stores.semaphores ?? absent,
          namedLocks: yield* stores.namedLocks ?? absent,
          availability
        })
        return contextOf(order, { engine, list: listWith(backend, order), isStoreUp: availability.isUp })
      })
    )
}

const absent = Effect.succeed(undefined)

/** One engine under the mark of every scope. */
const contextOf = <Definitions extends ReadonlyArray<LockScopeDefinition>>(
  order: LockOrder<Definitions>,
  locks: Locks["Service"]
): Context.Context<Locks | TakesAll<Definitions>> => {
  const marks = order.names.map((name) => Context.make(takes(name), locks.engine))
  return Context.mergeAll(Context.make(Locks, locks), ...marks) as Context.Context<
    Locks | TakesAll<Definitions>
  >
}

const RETRY_AFTER_MS = 250

const listWith =
  (backend: LockBackend, order: LockOrder): Locks["Service"]["list"] =>
  (limit = DEFAULT_LIST_LIMIT) =>
    backend.list(limit).pipe(
      Effect.map((locks) => locks.map((lock) => ({ ...lock, scope: scopeOf(order, lock.key) }))),
      Effect.catch(() => Effect.fail(new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS })))
    )

const scopeOf = (order: LockOrder, key: string): string | null => {
  const scopes: ReadonlyArray<LockScope> = Object.values(order.scopes)
  return scopes.find(({ prefix }) => key.startsWith(prefix))?.name ?? null
}
