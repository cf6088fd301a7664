import type { Violation } from "../model.ts"
import type { Operation } from "../operation.ts"

/** A period during which a holder certainly held an exclusive resource. */
export interface Hold<Input, Output> {
  readonly fromNs: number
  readonly toNs: number
  readonly holder: string
  readonly operation: Operation<Input, Output>
}

/** Checks mutual exclusion: no two certain holds overlap. O(n log n). */
export const overlap = <Input, Output>(
  holds: Iterable<Hold<Input, Output>>
): Violation<Input, Output> | undefined => {
  const ordered = [...holds]
    .filter(({ fromNs, toNs }) => fromNs < toNs)
    .toSorted((a, b) => a.fromNs - b.fromNs)
  let previous: Hold<Input, Output> | undefined
  for (const hold of ordered) {
    if (previous !== undefined && hold.fromNs < previous.toNs) {
      const togetherNs = Math.min(previous.toNs, hold.toNs) - hold.fromNs
      return {
        invariant: "overlap",
        message: `${previous.holder} and ${hold.holder} both held it for ${inMs(togetherNs)}.`,
        operations: [previous.operation, hold.operation]
      }
    }
    previous = hold
  }
  return undefined
}

const inMs = (ns: number): string => (Number.isFinite(ns) ? `${(ns / 1e6).toFixed(3)} ms` : "ever")
