import { endOf, type Operation } from "../operation.ts"

/** An addition to or a removal from a stock; one whose reply was lost may or may not have happened. */
export interface Movement<Input, Output> {
  /** Positive for an addition, negative for a removal. */
  readonly amount: number
  readonly operation: Operation<Input, Output>
}

/** Bounds of a stock around an operation, and of the total of its movements. */
interface StockBounds {
  /** The minimum it can have held at any instant between call and return. */
  readonly atLeast: (operation: Operation<unknown, unknown>) => number
  /** The maximum it can have held at any instant between call and return. */
  readonly atMost: (operation: Operation<unknown, unknown>) => number
  /** The maximum total supply until the operation returned. */
  readonly supplied: (operation: Operation<unknown, unknown>) => number
  /** The total that had certainly been taken when the operation returned. */
  readonly taken: (operation: Operation<unknown, unknown>) => number
}

/**
 * Bounds for every operation in O(n log n). A movement certainly precedes an operation if it returned before its call,
 * and possibly precedes it if it was called before its return. A movement whose reply was lost never returns.
 */
export const stockBounds = <Input, Output>(
  initial: number,
  movements: ReadonlyArray<Movement<Input, Output>>
): StockBounds => {
  const gives = movements.filter(({ amount }) => amount > 0)
  const takes = movements.filter(({ amount }) => amount < 0)
  const certainGives = runningTotal(gives, returnedAt)
  const certainTakes = runningTotal(takes, returnedAt)
  const possibleGives = runningTotal(gives, calledAt)
  const possibleTakes = runningTotal(takes, calledAt)
  return {
    atLeast: (operation) =>
      initial + certainGives.before(operation.calledAtNs) + possibleTakes.upTo(endOf(operation)),
    atMost: (operation) =>
      initial + possibleGives.upTo(endOf(operation)) + certainTakes.before(operation.calledAtNs),
    supplied: (operation) => initial + possibleGives.upTo(endOf(operation)),
    taken: (operation) => -certainTakes.upTo(endOf(operation))
  }
}

type AnyMovement = Movement<unknown, unknown>

const calledAt = ({ operation }: AnyMovement): number => operation.calledAtNs
const returnedAt = ({ operation }: AnyMovement): number => endOf(operation)

const runningTotal = (
  movements: ReadonlyArray<AnyMovement>,
  instantOf: (movement: AnyMovement) => number
) => {
  const ordered = movements.toSorted((a, b) => instantOf(a) - instantOf(b))
  const instants = ordered.map(instantOf)
  const totals = [0]
  for (const { amount } of ordered) totals.push((totals.at(-1) ?? 0) + amount)
  const totalOf = (count: number): number => totals[count] ?? 0
  return {
    /** Total of the movements before the instant. */
    before: (instantNs: number): number => totalOf(countWhile(instants, (instant) => instant < instantNs)),
    /** Total of the movements up to and including the instant. */
    upTo: (instantNs: number): number => totalOf(countWhile(instants, (instant) => instant <= instantNs))
  }
}

/** The number of leading instants that satisfy the condition, by binary search. */
const countWhile = (instants: ReadonlyArray<number>, holds: (instantNs: number) => boolean): number => {
  let low = 0
  let high = instants.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(instants[middle] ?? Infinity)) low = middle + 1
    else high = middle
  }
  return low
}
