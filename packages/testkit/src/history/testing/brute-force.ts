import { unknownOutput, type Model } from "../model.ts"
import { endOf, type Operation } from "../operation.ts"

/**
 * Decides linearizability by definition: tries every order and every subset of the pending operations. Slow, but simple
 * enough to be obviously correct; the checker is compared with it.
 */
export const isLinearizable = <State, Input, Output>(
  operations: ReadonlyArray<Operation<Input, Output>>,
  model: Model<State, Input, Output>
): boolean => {
  const partitions = Map.groupBy(
    operations.filter(({ outcome }) => outcome.status !== "failed"),
    ({ input }) => model.partition?.(input) ?? ""
  )
  return [...partitions].every(([partition, own]) => hasOrder(own, model, model.initial(partition)))
}

const hasOrder = <State, Input, Output>(
  left: ReadonlyArray<Operation<Input, Output>>,
  model: Model<State, Input, Output>,
  state: State
): boolean => {
  if (left.every(({ outcome }) => outcome.status === "unknown")) return true
  return left.some((candidate) => {
    const isPreceded = left.some((other) => endOf(other) < candidate.calledAtNs)
    if (isPreceded) return false
    const { input, outcome } = candidate
    const next = model.step(state, input, outcome.status === "returned" ? outcome.output : unknownOutput)
    const rest = left.filter((other) => other !== candidate)
    return next !== undefined && hasOrder(rest, model, next)
  })
}
