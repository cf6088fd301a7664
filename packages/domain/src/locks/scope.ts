/**
 * How long a lock lives, how long a caller waits for it, and what becomes of it without Redis.
 *
 * - `pessimistic`: wait in line, first come first served, for up to `waitMs`.
 * - `optimistic`: never wait; a second caller is told at once that a request is in progress.
 */
export interface LockPolicy {
  readonly mode: "pessimistic" | "optimistic"
  /** After this long without a renewal the lock is free again. It is renewed at a third of it. */
  readonly leaseMs: number
  /** How long a caller of a pessimistic scope stays in line. */
  readonly waitMs: number
  /** Whether transactions under the lock begin by advancing its fence: for effects that no unique key guards. */
  readonly fenced: boolean
  /** How many callers may hold one key at once. More than one makes the scope a counting semaphore. */
  readonly permits: number
  /**
   * What callers do while Redis is away: take a named lock of the `database`, `proceed` without a lock because a
   * unique key or a row lock decides anyway, or `fail` at once with `ServiceUnavailable`.
   */
  readonly fallback: "database" | "proceed" | "fail"
}

/** What a program says about one kind of lock. {@link defineLockOrder} turns it into a {@link LockScope}. */
export interface LockScopeDefinition<
  Name extends string = string,
  // oxlint-disable-next-line typescript/no-explicit-any -- a definition of any subject; `unknown` would be contravariant
  Subject = any,
  Mode extends LockPolicy["mode"] = LockPolicy["mode"],
  Fenced extends boolean = boolean
> extends Partial<Omit<LockPolicy, "mode" | "fenced">> {
  /** Names the scope in errors, metrics and the compiler's messages. */
  readonly name: Name
  /** What all keys of the scope begin with. No prefix may begin with another's. */
  readonly prefix: string
  /** The rest of the key. Equal subjects must give equal text, so it puts them into canonical form first. */
  readonly subject: (subject: Subject) => string
  readonly mode: Mode
  /** Default: false. */
  readonly fenced?: Fenced
}

/**
 * One kind of lock, as data: its name, its place in the order, the keys it makes and its policy. `Order` is the tuple of
 * all names, outermost first; the compiler reads from it what may be taken while this lock is held.
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
  /** Place in the order, 0 is the outermost. */
  readonly rank: number
  readonly prefix: string
  /** The key of a subject, without the `mutex:` that redis-semaphore puts in front. */
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

/** Places a definition in an order and fills in the defaults. Throws `RangeError` when its policy makes no sense. */
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
  assertSensible(name, policy)
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

const assertSensible = (name: string, { fenced, leaseMs, permits, waitMs }: LockPolicy): void => {
  if (!Number.isInteger(leaseMs) || leaseMs < MINIMUM_LEASE_MS) {
    throw new RangeError(
      `lock '${name}': a lease of ${leaseMs} ms; it takes a whole number from ${MINIMUM_LEASE_MS}`
    )
  }
  if (!Number.isInteger(waitMs) || waitMs < 0) throw new RangeError(`lock '${name}': a wait of ${waitMs} ms`)
  if (!Number.isInteger(permits) || permits < 1) throw new RangeError(`lock '${name}': ${permits} permits`)
  if (fenced && permits > 1) throw new RangeError(`lock '${name}': a fence admits one holder, not ${permits}`)
}
