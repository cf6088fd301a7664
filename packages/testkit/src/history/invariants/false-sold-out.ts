import type { Violation } from "../model.ts"
import type { Operation } from "../operation.ts"
import { stockBounds, type Movement } from "./movements.ts"

/** An operation that was refused a quantity. */
export interface Refusal<Input, Output> {
  readonly quantity: number
  readonly operation: Operation<Input, Output>
}

/** Checks that no refused quantity was certainly available from the call to the return. O(n log n). */
export const falseSoldOut = <Input, Output>(
  initial: number,
  movements: ReadonlyArray<Movement<Input, Output>>,
  refusals: ReadonlyArray<Refusal<Input, Output>>
): Violation<Input, Output> | undefined => {
  const bounds = stockBounds(initial, movements)
  for (const { quantity, operation } of refusals) {
    const left = bounds.atLeast(operation)
    if (left >= quantity) {
      const message = `${operation.client} was refused ${quantity} though at least ${left} were left.`
      return { invariant: "falseSoldOut", message, operations: [operation] }
    }
  }
  return undefined
}
