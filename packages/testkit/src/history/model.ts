import type { Operation } from "./operation.ts"

/** Stands for the output of an operation whose reply nobody saw. */
export const unknownOutput: unique symbol = Symbol("unknown output")

export type Observed<Output> = Output | typeof unknownOutput

/**
 * A sequential specification: what an object may answer when operations come one after the other.
 *
 * @typeParam State  immutable; `undefined` is not a state
 * @typeParam Input  what a client asked for
 * @typeParam Output  what it was answered
 */
export interface Model<State, Input, Output> {
  readonly name: string
  /** The state before the first operation of a partition. */
  readonly initial: (partition: string) => State
  /**
   * The state after the operation, or `undefined` when the object could not have answered so.
   * `unknownOutput` asks for the state if the operation took effect; that it had none is tried by the checker itself.
   */
  readonly step: (state: State, input: Input, output: Observed<Output>) => State | undefined
  /** Whether an operation with this output changes no state whatever; the search is much faster for it. */
  readonly isReadOnly?: (input: Input, output: Output) => boolean
  /** Equal for equal states, different for different ones. Default: JSON. */
  readonly stateKey?: (state: State) => string
  /**
   * Operations with different partitions never touch each other, so each partition is checked alone
   * (P-compositionality: Horn and Kroening, "Faster linearizability checking via P-compositionality", FORTE 2015).
   */
  readonly partition?: (input: Input) => string
  readonly describe?: (input: Input, output: Observed<Output>) => string
  /** Checks in linear time, run first: they miss violations the search finds, but what they find, they explain. */
  readonly invariants?: ReadonlyArray<Invariant<Input, Output>>
}

/** A necessary condition of linearizability. It must never fail for a history that is linearizable. */
export type Invariant<Input, Output> = (
  operations: ReadonlyArray<Operation<Input, Output>>,
  partition: string
) => Violation<Input, Output> | undefined

export interface Violation<Input, Output> {
  readonly invariant: string
  /** A sentence for people. */
  readonly message: string
  /** The operations that contradict each other, the one to blame last. */
  readonly operations: ReadonlyArray<Operation<Input, Output>>
}

/** An operation as one line: `take(2) → true`. */
export const describeOperation = <Input, Output>(
  model: Pick<Model<never, Input, Output>, "describe">,
  { input, outcome }: Operation<Input, Output>
): string => {
  const output = outcome.status === "returned" ? outcome.output : unknownOutput
  const text = model.describe?.(input, output)
  if (text !== undefined) return outcome.status === "failed" ? `${text} (failed)` : text
  return `${brief(input)} → ${outcome.status === "returned" ? brief(outcome.output) : outcome.status}`
}

/** A value on one short line. */
export const brief = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** The output for a description; an unknown one reads `?`. */
export const shown = (output: unknown): string => (output === unknownOutput ? "?" : brief(output))
