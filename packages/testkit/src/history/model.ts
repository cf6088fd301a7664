import { inspect } from "node:util"
import type { Operation } from "./operation.ts"

/** Stands for the output of an operation whose reply was lost. */
export const unknownOutput: unique symbol = Symbol("unknown output")

/** An output as the client observed it. */
export type Observed<Output> = Output | typeof unknownOutput

/**
 * A sequential specification: what an object may return when operations run one after the other.
 *
 * @typeParam State immutable; `undefined` is not a state
 * @typeParam Input what a client asked for
 * @typeParam Output what the object returned
 */
export interface Model<State, Input, Output> {
  readonly name: string
  /** The state before the first operation of a partition. */
  readonly initial: (partition: string) => State
  /**
   * Returns the state after the operation, or `undefined` when the object could not have returned this output. For
   * `unknownOutput`, returns the state if the operation took effect; the checker tries the other case itself.
   */
  readonly step: (state: State, input: Input, output: Observed<Output>) => State | undefined
  /** Whether an operation with this output changes no state. Makes the search much faster. */
  readonly isReadOnly?: (input: Input, output: Output) => boolean
  /** What can be known of later outputs. It makes the search of states that grow, such as texts and logs, much faster. */
  readonly foresight?: Foresight<State, Input, Output>
  /** A key that is equal if and only if the states are equal. Default: structural equality, also of Maps and Sets. */
  readonly stateKey?: (state: State) => string
  /**
   * Operations of different partitions are independent, so each partition is checked separately (P-compositionality:
   * Horn and Kroening, "Faster linearizability checking via P-compositionality", FORTE 2015).
   */
  readonly partition?: (input: Input) => string
  /** The operation on one line, for messages and timelines. Default: its input and output. */
  readonly describe?: (input: Input, output: Observed<Output>) => string
  /** Fast checks that run first. They miss some violations that the search finds, but explain those they find. */
  readonly invariants?: ReadonlyArray<Invariant<Input, Output>>
}

/**
 * What a model knows of later outputs. It may be given when every operation that is not read-only is possible in every
 * state. Without it the search remembers each order of concurrent appends, also of those that nobody has read.
 */
export interface Foresight<State, Input, Output> {
  /** Whether the state after the operation is the same whatever it was before. */
  readonly overwrites: (input: Input) => boolean
  /**
   * Whether a read-only operation may return this output in the state, or in one that operations which do not overwrite
   * make of it. True when in doubt.
   */
  readonly mayStillReturn: (state: State, input: Input, output: Output) => boolean
}

/** A necessary condition of linearizability: it must never fail for a linearizable history. */
export type Invariant<Input, Output> = (
  operations: ReadonlyArray<Operation<Input, Output>>,
  partition: string
) => Violation<Input, Output> | undefined

/** What an invariant found. */
export interface Violation<Input, Output> {
  readonly invariant: string
  /** An explanation in one sentence. */
  readonly message: string
  /** The operations that contradict each other, the one to blame last. */
  readonly operations: ReadonlyArray<Operation<Input, Output>>
}

/** An operation on one line: `take(2) → true`. */
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
  const text = typeof value === "string" ? value : inspect(value, { breakLength: Infinity, depth: 6 })
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** The output for a description; an unknown one becomes `?`. */
export const shown = (output: unknown): string => (output === unknownOutput ? "?" : brief(output))
