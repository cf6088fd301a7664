import type { Violation } from "../model.ts"
import { hasReturned, type Operation } from "../operation.ts"
import { stockBounds, type Movement } from "./movements.ts"

/** An operation that read the stock, and the value it saw. */
export interface Reading<Input, Output> {
  readonly value: number
  readonly operation: Operation<Input, Output>
}

/** Checks that nothing is taken beyond the supply, and that every reading lies within the possible bounds. O(n log n). */
export const conservation = <Input, Output>(
  initial: number,
  movements: ReadonlyArray<Movement<Input, Output>>,
  readings: ReadonlyArray<Reading<Input, Output>> = []
): Violation<Input, Output> | undefined => {
  const bounds = stockBounds(initial, movements)
  for (const { amount, operation } of movements) {
    if (amount >= 0 || !hasReturned(operation)) continue
    const [taken, supplied] = [bounds.taken(operation), bounds.supplied(operation)]
    if (taken > supplied) {
      const message = `${taken} were taken of ${supplied}.`
      return { invariant: "conservation", message, operations: [operation] }
    }
  }
  for (const { value, operation } of readings) {
    const [atLeast, atMost] = [bounds.atLeast(operation), bounds.atMost(operation)]
    if (value < atLeast || value > atMost) {
      const message = `${operation.client} saw ${value}, which must have been ${range(atLeast, atMost)}.`
      return { invariant: "conservation", message, operations: [operation] }
    }
  }
  return undefined
}

const range = (atLeast: number, atMost: number): string =>
  atLeast === atMost ? `${atMost}` : `between ${Math.max(0, atLeast)} and ${atMost}`
