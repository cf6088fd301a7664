import { Data, type Effect } from "effect"

/** What a caller asks a backend for: one key, once. */
export interface LockRequest {
  readonly scope: string
  readonly key: string
  readonly leaseMs: number
  /** How many may hold the key at once; 1 but for semaphores. */
  readonly permits: number
  /** Until when to stand in line, on the clock of `performance.now()`. `undefined`: do not wait at all. */
  readonly waitUntilMs: number | undefined
}

/** Gives back the interruptibility of the caller to the parts of an acquisition that may be interrupted. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A lease on one key. It ends by itself at `endsAtMs` unless it is renewed. */
export interface Lease {
  readonly key: string
  /** Who holds it, as others see it. */
  readonly holder: string
  /** Rises from holder to holder. `undefined` where the store cannot mint one: the database then does. */
  readonly token: number | undefined
  /**
   * The earliest moment at which the lease can end, on the clock of `performance.now()`. It counts from *before* the
   * command was sent, so the store's own lease ends later, never earlier. Moves when the lease is renewed.
   */
  readonly endsAtMs: () => number
  /** Starts the lease anew. `lost`: the key is not ours any more. */
  readonly renew: Effect.Effect<"renewed" | "lost", StoreAway>
  /** Gives the key to the next in line. Never waits for long: a store that does not answer is asked in vain. */
  readonly release: Effect.Effect<ReleaseOutcome>
}

/** How a lock ended: its holder still had it, and who has it now. */
export interface Released {
  readonly _tag: "Released"
  /** Whether somebody in line owns it now. */
  readonly handedOver: boolean
}

/** How a lock ended: the holder had been in it for longer than its lease, or cannot know. */
export interface Overrun {
  readonly _tag: "Overrun"
  /** `vanished`: nobody has the key; `taken`: another has it; `unconfirmed`: the store did not answer. */
  readonly reason: "vanished" | "taken" | "unconfirmed"
}

export type ReleaseOutcome = Released | Overrun

/** Somebody else has the key, and the request does not wait. */
export class LockBusy extends Data.TaggedError("LockBusy")<{
  readonly holder: string | null
  readonly leaseLeftMs: number
}> {}

/** The time in line is up. */
export class NotInTime extends Data.TaggedError("NotInTime")<{
  readonly holder: string | null
  readonly placeInLine: number | null
}> {}

/** The store of the locks cannot be reached, or cannot serve this call. */
export class StoreAway extends Data.TaggedError("StoreAway")<{
  /** `false`: it answers, but with an error that concerns this call alone. */
  readonly everywhere: boolean
  readonly cause: unknown
}> {}

/** One lock that somebody holds. */
export interface LockInfo {
  /** The scope whose prefix the key has; null: a key of another program. */
  readonly scope: string | null
  readonly key: string
  readonly holder: string
  /** Null when a plain redis-semaphore client holds the key. */
  readonly token: number | null
  /** For how long it has been held; null when that is not known. */
  readonly ageMs: number | null
  /** Until its lease ends; null: never. */
  readonly leaseLeftMs: number | null
  /** Who is in line, the next first. */
  readonly queue: ReadonlyArray<string>
}

/**
 * A way to hold keys: the queue in Redis, a quorum of Redis servers, a named lock of the database.
 *
 * `acquire` is called where interruption is masked, and restores it only where an interrupt leaves nothing behind.
 */
export interface LockBackend {
  readonly acquire: (
    request: LockRequest,
    restore: Restore
  ) => Effect.Effect<Lease, LockBusy | NotInTime | StoreAway>
  /** Whether the store answers. */
  readonly ping: Effect.Effect<void, StoreAway>
  /** The held locks, at most `limit` of them. `scope` is left null. */
  readonly list: (limit: number) => Effect.Effect<ReadonlyArray<LockInfo>, StoreAway>
}
