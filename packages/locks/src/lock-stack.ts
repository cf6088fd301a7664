/**
 * The run-time half of the lock order: every fiber carries the locks and the transaction that it is in. It catches what
 * the types cannot see: an `any`, a cast, a backend captured while a layer was built, code of the Promise API.
 */
import type { FenceStale, LockLost, LockScope } from "@holdfast/domain/locks"
import { Context, Effect } from "effect"
import type { Lease, ReleaseOutcome } from "./backend.ts"

/** What code under a lock may know about it. */
export interface LockHandle {
  readonly scope: string
  /** Sorted, each once. */
  readonly keys: ReadonlyArray<string>
  /** The fencing token of a key of this lock; `undefined` while no store can mint one. */
  readonly token: (key: string) => number | undefined
}

/** One lock while it is held. */
export interface HeldLock extends LockHandle {
  readonly definition: LockScope
  /** Grows while several keys are taken one after another. */
  readonly leases: Array<Lease>
  /** Whether the body still runs. Work that outlives it must not count as being under the lock. */
  active: boolean
  /** Why the body has to end, once it has to. */
  failure: LockLost | FenceStale | undefined
  /** How it ended, once it has: of several keys, the one that went wrong. */
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

/** What the fiber is in, outermost first. */
export const LockStack = Context.Reference<ReadonlyArray<Entry>>("@holdfast/locks/Stack", {
  defaultValue: () => []
})

const isActive = (entry: Entry): boolean => ("lock" in entry ? entry.lock.active : entry.transaction.active)

const nameOf = (entry: Entry): string => ("lock" in entry ? `lock '${entry.lock.scope}'` : "a transaction")

/** The broken rule, as a defect: nobody can handle it, only mend it. */
export class LockOrderViolation extends Error {
  override readonly name = "LockOrderViolation"
}

/** Why a lock of the scope may not be taken inside the stack's entries; `undefined` when it may. */
export const violationOf = (
  stack: ReadonlyArray<Entry>,
  scope: LockScope
): LockOrderViolation | undefined => {
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

/** The stack of the fiber, after making sure that it may take a lock of this scope. */
export const stackFor = (scope: LockScope): Effect.Effect<ReadonlyArray<Entry>> =>
  Effect.flatMap(LockStack, (stack) => {
    const violation = violationOf(stack, scope)
    return violation === undefined ? Effect.succeed(stack) : Effect.die(violation)
  })

/** The locks that the fiber holds, after making sure that it is in no transaction yet. */
export const stackForTransaction: Effect.Effect<ReadonlyArray<Entry>> = Effect.flatMap(LockStack, (stack) =>
  stack.some((entry) => "transaction" in entry && isActive(entry))
    ? Effect.die(new LockOrderViolation("a transaction must not be opened inside a transaction"))
    : Effect.succeed(stack)
)

/** The locks of a stack whose bodies still run. */
export const locksOf = (stack: ReadonlyArray<Entry>): ReadonlyArray<HeldLock> =>
  stack.flatMap((entry) => ("lock" in entry && entry.lock.active ? [entry.lock] : []))
