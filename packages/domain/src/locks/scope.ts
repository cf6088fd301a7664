/**
 * How long a lock lives, how long a caller waits for it, and what happens while Redis is unavailable.
 *
 * - `pessimistic`: a caller waits in a first-in, first-out queue for up to `waitMs`.
 * - `optimistic`: a caller never waits; while another request is in progress it fails with `RequestInProgress`.
 */
export interface LockPolicy {
  readonly mode: "pessimistic" | "optimistic"
  /** The lock is free again after this long without a renewal. The holder renews it at a third of the lease. */
  readonly leaseMs: number
  /** How long a caller of a pessimistic scope stays in the queue. */
  readonly waitMs: number
  /** Whether transactions under the lock first advance its fence. Effects that no unique key guards need this. */
  readonly fenced: boolean
  /** How many callers may hold a key at the same time. More than one makes the scope a counting semaphore. */
  readonly permits: number
  /**
   * What callers do while Redis is unavailable: take a named lock of the `database`, `proceed` without a lock because
   * a unique key or a row lock guards the effect, or `fail` at once with `ServiceUnavailable`.
   */
  readonly fallback: "database" | "proceed" | "fail"
}

/** The definition of one kind of lock. `defineLockOrder` turns it into a {@link LockScope}. */
export interface LockScopeDefinition<
  Name extends string = string,
  // oxlint-disable-next-line typescript/no-explicit-any -- a definition of any subject; `unknown` would be contravariant
  Subject = any,
  Mode extends LockPolicy["mode"] = LockPolicy["mode"],
  Fenced extends boolean = boolean
> extends Partial<Omit<LockPolicy, "mode" | "fenced">> {
  /** The scope's name in errors, metrics and compiler messages. */
  readonly name: Name
  /** The common prefix of the scope's keys. No prefix may start with another scope's prefix. */
  readonly prefix: string
  /** Returns the rest of the key, in a canonical form: equal subjects must give equal text. */
  readonly subject: (subject: Subject) => string
  readonly mode: Mode
  /** Default: false. */
  readonly fenced?: Fenced
}

/**
 * One kind of lock, as data: its name, rank, keys and policy. `Order` is the tuple of all names, outermost first; it
 * tells the compiler which locks may be taken while this one is held.
 */
export interface LockScope<
  Name extends string = string,
  Order extends ReadonlyArray<string> = ReadonlyArray<string>,
  // oxlint-disable-next-line typescript/no-explicit-any -- a scope of any subject; `unknown` would be contravariant
  Subject = any,
  Mode extends LockPolicy["mode"] = LockPolicy["mode"],
  Fenced extends boolean = boolean
> {
  readonly name: Name
  readonly order: Order
  /** The position in the order, where 0 is outermost. */
  readonly rank: number
  readonly prefix: string
  /** Returns the key of a subject, without the prefix `mutex:` that redis-semaphore adds. */
  readonly key: (subject: Subject) => string
  /** This lock on one subject, as data: `OrderCreateLock.of({ userId, lines })`. */
  readonly of: (subject: Subject) => LockTarget<Name, Order, Mode, Fenced>
  readonly policy: LockPolicy & { readonly mode: Mode; readonly fenced: Fenced }
}

/** A lock to take: its scope, and the subject that names the key. */
export interface LockTarget<
  Name extends string = string,
  Order extends ReadonlyArray<string> = ReadonlyArray<string>,
  Mode extends LockPolicy["mode"] = LockPolicy["mode"],
  Fenced extends boolean = boolean
> {
  // oxlint-disable-next-line typescript/no-explicit-any -- only `LockScope.of` makes a target, so the subject fits its scope
  readonly scope: LockScope<Name, Order, any, Mode, Fenced>
  readonly subject: unknown
}

const DEFAULT_LEASE_MS = 10_000
const DEFAULT_WAIT_MS = 5_000

/** Creates the scope of a definition and fills in the defaults. Throws `RangeError` if the policy is invalid. */
export const placeScope = (definition: LockScopeDefinition, order: ReadonlyArray<string>): LockScope => {
  const { mode, name, prefix, subject } = definition
  const policy: LockPolicy = {
    mode,
    leaseMs: definition.leaseMs ?? DEFAULT_LEASE_MS,
    waitMs: mode === "optimistic" ? 0 : (definition.waitMs ?? DEFAULT_WAIT_MS),
    fenced: definition.fenced ?? false,
    permits: definition.permits ?? 1,
    fallback: definition.fallback ?? "database"
  }
  assertValid(name, policy)
  const scope: LockScope = {
    name,
    order,
    rank: order.indexOf(name),
    prefix,
    key: (of) => prefix + subject(of),
    of: (of) => ({ scope, subject: of }),
    policy
  }
  return scope
}

const MINIMUM_LEASE_MS = 100

const assertValid = (name: string, { fenced, leaseMs, permits, waitMs }: LockPolicy): void => {
  if (!Number.isInteger(leaseMs) || leaseMs < MINIMUM_LEASE_MS) {
    throw new RangeError(
      `lock '${name}': a lease of ${leaseMs} ms; it takes a whole number from ${MINIMUM_LEASE_MS}`
    )
  }
  if (!Number.isInteger(waitMs) || waitMs < 0) throw new RangeError(`lock '${name}': a wait of ${waitMs} ms`)
  if (!Number.isInteger(permits) || permits < 1) throw new RangeError(`lock '${name}': ${permits} permits`)
  if (fenced && permits > 1) throw new RangeError(`lock '${name}': a fence admits one holder, not ${permits}`)
}
