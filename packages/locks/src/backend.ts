import { Data, type Effect } from "effect"
import type { RedisUnavailable } from "./redis/breaker.ts"

/** What a caller asks a backend for: one key, once. */
export interface LockRequest {
  readonly scope: string
  readonly key: string
  readonly leaseMs: number
  /** How many callers may hold the key at once: 1 except for semaphores. */
  readonly permits: number
  /** How long to wait, as a moment on the clock of `performance.now()`. `undefined`: do not wait. */
  readonly waitUntilMs: number | undefined
}

/** Restores the caller's interruptibility for the parts of an acquisition that may be interrupted. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A lease on one key. It ends by itself at `endsAtMs` unless it is renewed. */
export interface Lease {
  readonly key: string
  /** The holder's identifier, as others see it. */
  readonly holder: string
  /** Rises from holder to holder. `undefined` where the store cannot mint tokens: the database then does. */
  readonly token: number | undefined
  /**
   * The earliest moment at which the lease can end, on the clock of `performance.now()`. It counts from *before* the
   * command was sent, so the store's own lease never ends earlier. Moves when the lease is renewed.
   */
  readonly endsAtMs: () => number
  /** Starts the lease anew. `lost`: the holder does not have the key any more. */
  readonly renew: Effect.Effect<"renewed" | "lost", StoreUnavailable>
  /** Releases the key and hands it to the next waiter. Returns promptly even when the store does not answer. */
  readonly release: Effect.Effect<ReleaseOutcome>
}

/** The holder still had the lock when it released it. */
export interface Released {
  readonly _tag: "Released"
  /** Whether a waiter owns the lock now. */
  readonly handedOver: boolean
}

/** The holder no longer had the lock when it released it, or cannot know. */
export interface Overrun {
  readonly _tag: "Overrun"
  /** `vanished`: the key is gone; `taken`: it has another holder; `unconfirmed`: the store did not answer. */
  readonly reason: "vanished" | "taken" | "unconfirmed"
}

/** How a lock ended. */
export type ReleaseOutcome = Released | Overrun

/** The key has another holder, and the request does not wait. */
export class LockBusy extends Data.TaggedError("LockBusy")<{
  readonly holder: string | null
  readonly leaseLeftMs: number
}> {}

/** The key did not become free in time. */
export class LockWaitTimeout extends Data.TaggedError("LockWaitTimeout")<{
  readonly holder: string | null
  readonly placeInLine: number | null
}> {}

/** The database does not answer, or has no connection left for a named lock. */
export class NamedLocksUnavailable extends Data.TaggedError("NamedLocksUnavailable")<{
  readonly cause: unknown
}> {}

/** The store of a backend cannot serve the call. */
export type StoreUnavailable = RedisUnavailable | NamedLocksUnavailable

/** Why a backend did not give a lease. */
export type AcquireRefusal = LockBusy | LockWaitTimeout | StoreUnavailable

/** One lock that is held. */
export interface LockInfo {
  /** The scope whose prefix the key has; null: the key belongs to another program. */
  readonly scope: string | null
  readonly key: string
  readonly holder: string
  /** Null when a plain redis-semaphore client holds the key. */
  readonly token: number | null
  /** How long it has been held; null: unknown. */
  readonly ageMs: number | null
  /** When its lease ends; null: never. */
  readonly leaseLeftMs: number | null
  /** The identifiers of the waiters, the next one first. */
  readonly queue: ReadonlyArray<string>
}

/**
 * A way to hold keys: a queue in Redis, a quorum of Redis servers, named locks of the database.
 *
 * `acquire` is called where interruption is masked, and restores it only where an interrupt leaves nothing behind.
 */
export interface LockBackend {
  readonly acquire: (request: LockRequest, restore: Restore) => Effect.Effect<Lease, AcquireRefusal>
  /** Whether the store answers, as far as this process knows. While it does not, `acquire` fails at once. */
  readonly isUp: () => boolean
  /** The held locks, at most `limit` of them. `scope` is left null. */
  readonly list: (limit: number) => Effect.Effect<ReadonlyArray<LockInfo>, StoreUnavailable>
}

/** The settings that all backends have. */
export interface BackendOptions {
  /** A command without an answer for this long means that the store is away. */
  readonly answerWithinMs?: number
}
