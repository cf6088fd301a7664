import { assertOptions } from "../internal/options.ts"
import type { Model, Violation } from "./model.ts"
import type { Operation } from "./operation.ts"
import { fairSearch, type Found } from "./fair-search.ts"
import type { ReachedLimit, SearchLimits } from "./search-limits.ts"

/** Limits of a check. */
export type CheckOptions = SearchLimits

/** A {@link History} or a plain list of operations. */
type Operations<Input, Output> =
  | ReadonlyArray<Operation<Input, Output>>
  | { readonly operations: ReadonlyArray<Operation<Input, Output>> }

/** The verdict on a history. */
export type Check<State, Input, Output> = Legal<Input, Output> | Illegal<State, Input, Output> | Undecided

/** Every partition has an order that the model accepts. */
export interface Legal<Input, Output> {
  readonly verdict: "ok"
  /** One such order per partition. */
  readonly orders: ReadonlyMap<string, ReadonlyArray<Operation<Input, Output>>>
  readonly steps: number
}

/** One partition has no such order. */
export interface Illegal<State, Input, Output> {
  readonly verdict: "illegal"
  readonly partition: string
  /** The operations of the partition that may have had an effect. */
  readonly operations: ReadonlyArray<Operation<Input, Output>>
  /** The operation that no legal order can contain. */
  readonly illegal: Operation<Input, Output>
  /** The explanation, when one of the model's invariants found the fault. */
  readonly violation?: Violation<Input, Output>
  /** A legal order of the longest prefix that has one, with the state after it; absent when the search gave up. */
  readonly prefix?: { readonly order: ReadonlyArray<Operation<Input, Output>>; readonly state: State }
  readonly steps: number
}

/** Neither proved nor refuted within the limits. Never treat it as success. */
export interface Undecided {
  readonly verdict: "unknown"
  readonly partition: string
  readonly reason: ReachedLimit
  readonly steps: number
}

/** Time to find the longest legal prefix after an invariant has already found the fault. */
const EXPLAIN_MS = 1_000

/**
 * Checks whether the operations could have taken effect one after the other, each between its call and its return, as
 * the model specifies (linearizability: Herlihy and Wing, TOPLAS 1990). The limits apply to the whole check.
 *
 * @throws UnsoundInvariantError when an invariant accuses a history that has a legal order
 * @throws IncomparableValueError when states or inputs cannot be compared, and the model has no `stateKey`
 * @throws MutatedStateError when the model's `step` changes its state in place
 * @throws UnsoundForesightError when the model has a foresight and refuses an operation that is not read-only
 */
export const checkLinearizable = <State, Input, Output>(
  history: Operations<Input, Output>,
  model: Model<State, Input, Output>,
  options: CheckOptions = {}
): Check<State, Input, Output> => {
  assertOptions("a check", options, { timeoutMs: true, maxSteps: true, maxConfigurations: true })
  const partitions = partitionsOf(history, model)
  const broken = brokenInvariant(partitions, model)
  if (broken !== undefined) return explained(partitions, model, broken, options)

  const { results, steps, undecided } = fairSearch(partitions, model, options)
  const orders = new Map<string, ReadonlyArray<Operation<Input, Output>>>()
  for (const [partition, result] of results) {
    if (result.verdict === "illegal") {
      const { blocked: illegal } = result
      const operations = partitions.get(partition) ?? []
      return { verdict: "illegal", partition, operations, illegal, prefix: result, steps }
    }
    orders.set(partition, result.order)
  }
  if (undecided !== undefined) return { verdict: "unknown", ...undecided, steps }
  return { verdict: "ok", orders, steps }
}

/** Adds the longest legal prefix to what an invariant found, if it can be found in time. */
const explained = <State, Input, Output>(
  partitions: Partitions<Input, Output>,
  model: Model<State, Input, Output>,
  { partition, violation }: { readonly partition: string; readonly violation: Violation<Input, Output> },
  limits: CheckOptions
): Illegal<State, Input, Output> => {
  const illegal = violation.operations.at(-1)
  if (illegal === undefined) throw new TypeError(`Invariant ${violation.invariant} names no operation.`)
  const operations = partitions.get(partition) ?? []
  const { results, steps } = fairSearch(new Map([[partition, operations]]), model, {
    ...limits,
    timeoutMs: Math.min(limits.timeoutMs ?? Infinity, EXPLAIN_MS)
  })
  const result: Found<State, Input, Output> | undefined = results.get(partition)
  if (result?.verdict === "ok") throw new UnsoundInvariantError(model.name, violation)
  const prefix = result === undefined ? {} : { prefix: result }
  return { verdict: "illegal", partition, operations, illegal, violation, steps, ...prefix }
}

type Partitions<Input, Output> = ReadonlyMap<string, ReadonlyArray<Operation<Input, Output>>>

/** An invariant accused a history that has a legal order, so the model contradicts itself. */
export class UnsoundInvariantError extends Error {
  readonly _tag = "UnsoundInvariant"
  readonly model: string
  readonly invariant: string

  constructor(model: string, violation: Pick<Violation<unknown, unknown>, "invariant" | "message">) {
    super(
      `Invariant ${violation.invariant} of model ${model} is wrong: a legal order exists. ${violation.message}`
    )
    this.name = "UnsoundInvariantError"
    this.model = model
    this.invariant = violation.invariant
  }
}

const partitionsOf = <State, Input, Output>(
  history: Operations<Input, Output>,
  model: Model<State, Input, Output>
): Partitions<Input, Output> => {
  const operations = "operations" in history ? history.operations : history
  const effective = operations.filter(({ outcome }) => outcome.status !== "failed")
  return Map.groupBy(effective, ({ input }) => model.partition?.(input) ?? "")
}

const brokenInvariant = <State, Input, Output>(
  partitions: Partitions<Input, Output>,
  { invariants = [] }: Model<State, Input, Output>
) => {
  for (const [partition, operations] of partitions) {
    for (const invariant of invariants) {
      const violation = invariant(operations, partition)
      if (violation !== undefined) return { partition, violation }
    }
  }
  return undefined
}
