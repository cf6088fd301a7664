import { END, EventList, type EventNode } from "./event-list.ts"
import { LinearizedSet } from "./linearized-set.ts"
import { unknownOutput, type Model } from "./model.ts"
import { endOf, hasReturned, type Operation } from "./operation.ts"

/** Limits beyond which the verdict is `unknown`. */
export interface SearchLimits {
  /** Default 10,000. */
  readonly deadlineMs?: number
  /** Maximum number of model steps. Default: no limit. */
  readonly maxSteps?: number
  /** Maximum number of remembered configurations, at about 100 bytes each. Default 2,000,000. */
  readonly maxConfigurations?: number
}

export type SearchResult<State, Input, Output> = {
  /** A legal order of all operations when `ok`, else of the longest prefix of the history that has one. */
  readonly order: ReadonlyArray<Operation<Input, Output>>
  /** The state after `order`. */
  readonly state: State
  readonly steps: number
} & (
  | { readonly verdict: "ok" }
  /** `blocked` is the operation with the first return that `order` cannot explain. */
  | { readonly verdict: "illegal"; readonly blocked: Operation<Input, Output> }
  | { readonly verdict: "unknown"; readonly reason: "deadline" | "steps" | "configurations" }
)

/**
 * Searches for an order of the operations that respects real time and that the model accepts.
 *
 * Wing and Gong, "Testing and verifying concurrent objects" (JPDC 1993): try every operation that no other precedes, and
 * backtrack when the model refuses. Lowe, "Testing for linearizability" (CCPE 2017): keep the events in a linked list,
 * and remember failed configurations, which are pairs of a set of linearized operations and a state.
 *
 * Pending operations may take effect at any time after their call or never, so they are tried last. Two of them with
 * equal inputs are interchangeable, so only the one called first is tried.
 */
export const searchOrder = <State, Input, Output>(
  operations: ReadonlyArray<Operation<Input, Output>>,
  model: Model<State, Input, Output>,
  partition: string,
  limits: SearchLimits = {}
): SearchResult<State, Input, Output> => new Search(operations, model, partition, limits).run()

/** A linearized operation, with what is needed to undo it and try the next candidate. */
interface Choice<State> {
  readonly operation: number
  readonly before: State
  readonly candidates: ReadonlyArray<number>
  readonly tried: number
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #stateKey: (state: State) => string
  /** Completed operations by call, then pending ones by call. Operations are identified by their index here. */
  readonly #operations: ReadonlyArray<Operation<Input, Output>>
  readonly #completed: number
  /** For each pending operation, the previous one with the same input. */
  readonly #twin: ReadonlyArray<number | undefined>
  readonly #events: EventList
  readonly #linearized: LinearizedSet
  readonly #seen = new Set<string>()
  readonly #choices: Array<Choice<State>> = []
  #state: State

  /** The operations that may come next, and how many of them were tried. */
  #candidates: ReadonlyArray<number>
  #tried = 0

  #furthest: EventNode = -1
  #furthestOrder: ReadonlyArray<number> = []
  #furthestState: State

  #steps = 0
  readonly #limits: Required<SearchLimits>
  readonly #startedAtMs = performance.now()

  constructor(
    operations: ReadonlyArray<Operation<Input, Output>>,
    model: Model<State, Input, Output>,
    partition: string,
    limits: SearchLimits
  ) {
    const byCall = operations.toSorted((a, b) => a.calledAtNs - b.calledAtNs)
    const completed = byCall.filter(hasReturned)
    const pending = byCall.filter(({ outcome }) => outcome.status === "unknown")
    this.#operations = [...completed, ...pending]
    this.#completed = completed.length
    this.#twin = earlierTwins(pending, completed.length)
    this.#events = new EventList(completed)
    this.#linearized = new LinearizedSet(this.#operations.length)
    this.#model = model
    this.#stateKey = model.stateKey ?? JSON.stringify
    this.#state = model.initial(partition)
    this.#furthestState = this.#state
    this.#candidates = this.#findCandidates()
    this.#limits = { deadlineMs: 10_000, maxSteps: Infinity, maxConfigurations: 2_000_000, ...limits }
  }

  run(): SearchResult<State, Input, Output> {
    for (;;) {
      if (this.#events.first() === END) return this.#found()
      const exceeded = this.#exceeded()
      if (exceeded !== undefined) return this.#gaveUp(exceeded)
      const candidate = this.#candidates[this.#tried++]
      if (candidate !== undefined) this.#tryNext(candidate)
      else {
        this.#noteHowFar()
        if (!this.#goBack()) return this.#refuted()
      }
    }
  }

  /**
   * The operations that no other unlinearized one precedes. Those that return first are tried first, because they are
   * most likely next.
   */
  #findCandidates(): ReadonlyArray<number> {
    const candidates: Array<number> = []
    let node = this.#events.first()
    while (node !== END && !this.#events.isReturn(node)) {
      candidates.push(this.#events.operationAt(node))
      node = this.#events.next(node)
    }
    const readOnly = candidates.find((candidate) => this.#fitsAndIsReadOnly(candidate))
    if (readOnly !== undefined) return [readOnly]
    if (node === END) return candidates
    candidates.sort((a, b) => this.#events.returnOf(a) - this.#events.returnOf(b))
    const barrierNs = endOf(this.#operation(this.#events.operationAt(node)))
    for (let pending = this.#completed; pending < this.#operations.length; pending++) {
      if (this.#operation(pending).calledAtNs > barrierNs) break
      if (this.#linearized.has(pending)) continue
      const twin = this.#twin[pending - this.#completed]
      if (twin === undefined || this.#linearized.has(twin)) candidates.push(pending)
    }
    return candidates
  }

  /**
   * Whether the operation is read-only and its output matches the current state. Then it can be placed now: in every
   * legal order in which it comes later, it could also come now.
   */
  #fitsAndIsReadOnly(candidate: number): boolean {
    const { input, outcome } = this.#operation(candidate)
    if (outcome.status !== "returned" || this.#model.isReadOnly?.(input, outcome.output) !== true)
      return false
    return this.#stateAfter(candidate) !== undefined
  }

  #stateAfter(candidate: number): State | undefined {
    this.#steps++
    const { input, outcome } = this.#operation(candidate)
    const output = outcome.status === "returned" ? outcome.output : unknownOutput
    return this.#model.step(this.#state, input, output)
  }

  #tryNext(candidate: number): void {
    const next = this.#stateAfter(candidate)
    if (next === undefined) return
    this.#linearized.add(candidate)
    const configuration = `${this.#linearized.key()}|${this.#stateKey(next)}`
    if (this.#seen.has(configuration)) {
      this.#linearized.delete(candidate)
      return
    }
    this.#seen.add(configuration)
    const [candidates, tried] = [this.#candidates, this.#tried]
    this.#choices.push({ operation: candidate, before: this.#state, candidates, tried })
    this.#state = next
    if (candidate < this.#completed) this.#events.lift(candidate)
    this.#candidates = this.#findCandidates()
    this.#tried = 0
  }

  /** Undoes the latest choice; false when there is none. */
  #goBack(): boolean {
    const choice = this.#choices.pop()
    if (choice === undefined) return false
    const { operation, before, candidates, tried } = choice
    this.#state = before
    this.#candidates = candidates
    this.#tried = tried
    this.#linearized.delete(operation)
    if (operation < this.#completed) this.#events.restore(operation)
    return true
  }

  /** Records the current order if it explains more returns than any before. */
  #noteHowFar(): void {
    const barrier = this.#events.firstReturn()
    if (barrier <= this.#furthest) return
    this.#furthest = barrier
    this.#furthestOrder = this.#choices.map(({ operation }) => operation)
    this.#furthestState = this.#state
  }

  #exceeded(): "deadline" | "steps" | "configurations" | undefined {
    if (this.#steps > this.#limits.maxSteps) return "steps"
    if (this.#seen.size > this.#limits.maxConfigurations) return "configurations"
    const looksAtClock = (this.#steps & 1023) === 1
    if (looksAtClock && performance.now() - this.#startedAtMs > this.#limits.deadlineMs) return "deadline"
    return undefined
  }

  #found(): SearchResult<State, Input, Output> {
    const order = this.#choices.map(({ operation }) => this.#operation(operation))
    return { verdict: "ok", order, state: this.#state, steps: this.#steps }
  }

  #refuted(): SearchResult<State, Input, Output> {
    const blocked = this.#operation(this.#events.operationAt(this.#furthest))
    return { verdict: "illegal", blocked, ...this.#longestPrefix() }
  }

  #gaveUp(reason: "deadline" | "steps" | "configurations"): SearchResult<State, Input, Output> {
    return { verdict: "unknown", reason, ...this.#longestPrefix() }
  }

  #longestPrefix() {
    const order = this.#furthestOrder.map((index) => this.#operation(index))
    return { order, state: this.#furthestState, steps: this.#steps }
  }

  #operation(index: number): Operation<Input, Output> {
    const operation = this.#operations[index]
    if (operation === undefined) throw new RangeError(`No operation ${index}.`)
    return operation
  }
}

const earlierTwins = <Input>(
  pending: ReadonlyArray<Operation<Input, unknown>>,
  firstIndex: number
): ReadonlyArray<number | undefined> => {
  const latest = new Map<string, number>()
  return pending.map(({ input }, position) => {
    const key = JSON.stringify(input)
    const twin = latest.get(key)
    latest.set(key, firstIndex + position)
    return twin
  })
}
