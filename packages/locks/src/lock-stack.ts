/**
 * The run-time half of the lock order: every fiber carries the locks and the transaction that it is in. This catches
 * what the types cannot see: an `any`, a cast, a backend captured while a layer was built, code of the Promise API.
 */
import type { FenceStale, LockLost, LockScope } from "@holdfast/domain/locks"
import { Context, Effect } from "effect"
import type { Lease, ReleaseOutcome } from "./backend.ts"

/** A held lock, as code under it sees it. */
export interface LockHandle {
  readonly scope: string
  /** Sorted and distinct. */
  readonly keys: ReadonlyArray<string>
  /** The fencing token of a key of this lock; `undefined` while no store can mint one. */
  readonly token: (key: string) => number | undefined
}

/** One lock while it is held. */
export interface HeldLock extends LockHandle {
  readonly definition: LockScope
  /** Grows while several keys are acquired one after another. */
  readonly leases: Array<Lease>
  /** Whether the body still runs. Work that outlives the body is not under the lock any more. */
  active: boolean
  /** Why the body has to stop, once it has to. */
  failure: LockLost | FenceStale | undefined
  /** How the lock ended, once it has. With several keys, an overrun of one of them. */
  outcome: ReleaseOutcome | undefined
}

export const makeHeldLock = (definition: LockScope, keys: ReadonlyArray<string>): HeldLock => {
  const leases: Array<Lease> = []
  return {
    definition,
    scope: definition.name,
    keys,
    token: (key) => leases.find((lease) => lease.key === key)?.token,
    leases,
    active: true,
    failure: undefined,
    outcome: undefined
  }
}

interface OpenTransaction {
  active: boolean
}

type Entry = { readonly lock: HeldLock } | { readonly transaction: OpenTransaction }

/** The locks and the transaction that the fiber is in, outermost first. */
export const LockStack = Context.Reference<ReadonlyArray<Entry>>("@holdfast/locks/Stack", {
  defaultValue: () => []
})

/** What a fiber is in, for a fiber that works in its place; see {@link underLocks}. */
export type LockContext = ReadonlyArray<Entry>

/** The locks and the transaction that the fiber is in. */
export const lockContext: Effect.Effect<LockContext> = Effect.map(LockStack, (stack) => stack)

/** Runs the effect under the locks of other fibers, which hold them until it has ended. */
export const underLocks =
  (contexts: ReadonlyArray<LockContext>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, LockStack, contexts.flat())

/** Whether a lock of the context has ended under its body. */
export const hasEndedLock = (context: LockContext): boolean =>
  context.some((entry) => "lock" in entry && entry.lock.failure !== undefined)

const isActive = (entry: Entry): boolean => ("lock" in entry ? entry.lock.active : entry.transaction.active)

const nameOf = (entry: Entry): string => ("lock" in entry ? `lock '${entry.lock.scope}'` : "a transaction")

/** A violation of the lock order. It is a defect: a bug to fix, not an error to handle. */
export class LockOrderViolation extends Error {
  override readonly name = "LockOrderViolation"
}

/** Why a lock of the scope must not be taken under the entries of the stack; `undefined` when it may. */
const violationOf = (stack: ReadonlyArray<Entry>, scope: LockScope): LockOrderViolation | undefined => {
  for (const entry of stack) {
    if (!isActive(entry)) continue
    const mayBeInside =
      "lock" in entry && entry.lock.definition.order.indexOf(scope.name) > entry.lock.definition.rank
    if (!mayBeInside) {
      return new LockOrderViolation(`lock '${scope.name}' must not be taken inside ${nameOf(entry)}`)
    }
  }
  return undefined
}

/** The stack of the fiber. Dies when the fiber must not take a lock of the scope. */
export const stackFor = (scope: LockScope): Effect.Effect<ReadonlyArray<Entry>> =>
  Effect.flatMap(LockStack, (stack) => {
    const violation = violationOf(stack, scope)
    return violation === undefined ? Effect.succeed(stack) : Effect.die(violation)
  })

/** The stack of the fiber. Dies when the fiber is in a transaction already. */
export const stackForTransaction: Effect.Effect<ReadonlyArray<Entry>> = Effect.flatMap(LockStack, (stack) =>
  stack.some((entry) => "transaction" in entry && isActive(entry))
    ? Effect.die(new LockOrderViolation("a transaction must not be opened inside a transaction"))
    : Effect.succeed(stack)
)

/** The locks of a stack whose bodies still run. */
export const locksOf = (stack: ReadonlyArray<Entry>): ReadonlyArray<HeldLock> =>
  stack.flatMap((entry) => ("lock" in entry && entry.lock.active ? [entry.lock] : []))
