import type { Model } from "./model.ts"
import type { Operation } from "./operation.ts"
import type { ReachedLimit, SearchLimits } from "./search-limits.ts"
import { Search, type SearchResult } from "./search.ts"

/** How the search of a partition ended. */
export type Found<State, Input, Output> = SearchResult<State, Input, Output>

interface FairSearch<State, Input, Output> {
  /** The results by partition. An illegal one ends the search, and comes last. */
  readonly results: ReadonlyMap<string, Found<State, Input, Output>>
  readonly steps: number
  /** The first partition without a result, and the limit that was reached. */
  readonly undecided: { readonly partition: string; readonly reason: ReachedLimit } | undefined
}

const FIRST_BUDGET = 256
/** The clock is read at least this often. */
const MOST_STEPS_AT_ONCE = 4_096

/**
 * Searches all partitions in turns, with twice the budget in each round, so that one that is hard never keeps the others
 * waiting: a violation costs a small multiple of the steps of its own partition.
 */
export const fairSearch = <State, Input, Output>(
  partitions: ReadonlyMap<string, ReadonlyArray<Operation<Input, Output>>>,
  model: Model<State, Input, Output>,
  limits: SearchLimits
): FairSearch<State, Input, Output> => {
  const results = new Map<string, Found<State, Input, Output>>()
  const open = new Map<string, Search<State, Input, Output>>()
  const budget = new Budget(limits)
  for (const [partition, operations] of partitions)
    open.set(partition, new Search(operations, model, partition))

  for (let share = FIRST_BUDGET; open.size > 0; share *= 2) {
    for (const [partition, search] of open) {
      const result = advance(search, share, budget)
      if (typeof result === "string")
        return { results, steps: budget.steps, undecided: { partition, reason: result } }
      if (result === undefined) continue
      results.set(partition, result)
      if (result.verdict === "illegal") return { results, steps: budget.steps, undecided: undefined }
      budget.forget(search)
      open.delete(partition)
    }
  }
  return { results, steps: budget.steps, undecided: undefined }
}

/** Gives a search its share of steps. Returns its result, the limit that was reached, or undefined to go on later. */
const advance = <State, Input, Output>(
  search: Search<State, Input, Output>,
  share: number,
  budget: Budget
): Found<State, Input, Output> | ReachedLimit | undefined => {
  for (let left = share; left > 0;) {
    const reached = budget.reached()
    if (reached !== undefined) return reached
    const steps = Math.min(left, MOST_STEPS_AT_ONCE, budget.stepsLeft)
    const before = { steps: search.steps, configurations: search.configurations }
    const result = search.advance(steps)
    budget.spend(search, before)
    if (result !== undefined) return result
    left -= steps
  }
  return undefined
}

interface Spent {
  readonly steps: number
  readonly configurations: number
}

/** What is left of the limits. */
class Budget {
  readonly #limits: Required<SearchLimits>
  readonly #startedAtMs = performance.now()
  #configurations = 0
  steps = 0

  constructor(limits: SearchLimits) {
    this.#limits = { timeoutMs: 10_000, maxSteps: Infinity, maxConfigurations: 2_000_000, ...limits }
  }

  spend(now: Spent, before: Spent): void {
    this.steps += now.steps - before.steps
    this.#configurations += now.configurations - before.configurations
  }

  /** The configurations of a finished search are not in memory any more. */
  forget({ configurations }: Spent): void {
    this.#configurations -= configurations
  }

  get stepsLeft(): number {
    return this.#limits.maxSteps - this.steps
  }

  reached(): ReachedLimit | undefined {
    if (this.stepsLeft <= 0) return "steps"
    if (this.#configurations > this.#limits.maxConfigurations) return "configurations"
    return performance.now() - this.#startedAtMs >= this.#limits.timeoutMs ? "timeout" : undefined
  }
}
