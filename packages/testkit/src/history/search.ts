import { END, EventList, type EventNode } from "./event-list.ts"
import { departureOf, Frontier, type Configuration } from "./frontier.ts"
import { LinearizedSet } from "./linearized-set.ts"
import { Lookahead } from "./lookahead.ts"
import { unknownOutput, type Model } from "./model.ts"
import { MutatedStateError, UnsoundForesightError } from "./model-errors.ts"
import { endOf, hasReturned, type Operation } from "./operation.ts"
import { structuralKey } from "./structural-key.ts"

export type SearchResult<State, Input, Output> = {
  /** A legal order of all operations when `ok`, else of the longest prefix of the history that has one. */
  readonly order: ReadonlyArray<Operation<Input, Output>>
  /** The state after `order`. */
  readonly state: State
} & (
  | { readonly verdict: "ok" }
  /** `blocked` is the operation with the first return that `order` cannot explain. */
  | { readonly verdict: "illegal"; readonly blocked: Operation<Input, Output> }
)

/** The number of first steps after which the state before is compared with what it was. */
const VERIFIED_STEPS = 1_000

/**
 * Searches for an order of the operations that respects real time and that the model accepts.
 *
 * Wing and Gong, "Testing and verifying concurrent objects" (JPDC 1993): try every operation that no other precedes, and
 * backtrack when the model refuses. Lowe, "Testing for linearizability" (CCPE 2017): keep the events in a linked list,
 * and remember failed configurations, which are pairs of a set of linearized operations and a state.
 *
 * A {@link Frontier} chooses the configuration to continue with. Depth first, one wrong choice would cost all orders of
 * the operations after it.
 *
 * Pending operations may take effect at any time after their call or never, so they are tried last. Two of them with
 * equal inputs are interchangeable, so only the one called first is tried.
 */
export class Search<State, Input, Output> {
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
  /** A short number for each state, because its key may be long. */
  readonly #states = new Map<string, number>()
  readonly #open = new Frontier<State>()
  readonly #lookahead: Lookahead<State, Input, Output> | undefined
  #current: Configuration<State>
  #furthest: Configuration<State>
  #furthestReturn: EventNode = -1
  #steps = 0

  constructor(
    operations: ReadonlyArray<Operation<Input, Output>>,
    model: Model<State, Input, Output>,
    partition: string
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
    this.#stateKey = model.stateKey ?? structuralKey
    this.#lookahead = this.#foresee()
    const state = model.initial(partition)
    const root = {
      parent: undefined,
      depth: 0,
      operation: -1,
      state,
      key: this.#stateKey(state),
      departure: 0,
      behind: completed.length
    }
    this.#current = { ...root, candidates: this.#findCandidates(state), tried: 0 }
    this.#furthest = this.#current
    this.#add(this.#current)
  }

  #foresee(): Lookahead<State, Input, Output> | undefined {
    const { foresight } = this.#model
    if (foresight === undefined) return undefined
    const searched = { model: this.#model, operations: this.#operations, completed: this.#completed }
    return new Lookahead({ ...searched, events: this.#events, linearized: this.#linearized }, foresight)
  }

  /** The number of model steps so far. */
  get steps(): number {
    return this.#steps
  }

  /** The number of configurations that are remembered. */
  get configurations(): number {
    return this.#seen.size
  }

  /** Continues for about `steps` model steps. Returns undefined when that does not suffice. */
  advance(steps: number): SearchResult<State, Input, Output> | undefined {
    const until = this.#steps + steps
    for (;;) {
      if (this.#events.first() === END) return this.#found()
      if (this.#steps >= until) return undefined
      const configuration = this.#open.take()
      if (configuration === undefined) return this.#refuted()
      this.#moveTo(configuration)
      const candidate = configuration.candidates[configuration.tried++]
      this.#open.add(configuration)
      if (candidate !== undefined) this.#tryNext(candidate, configuration)
    }
  }

  /** Adds a configuration that was just reached. */
  #add(configuration: Configuration<State>): void {
    const firstReturn = this.#events.firstReturn()
    if (firstReturn > this.#furthestReturn) {
      this.#furthestReturn = firstReturn
      this.#furthest = configuration
    }
    this.#open.add(configuration)
  }

  /** Undoes and repeats choices, back to the common beginning of both orders and on from there. */
  #moveTo(target: Configuration<State>): void {
    const ahead: Array<Configuration<State>> = []
    let [from, to] = [this.#current, target]
    while (from !== to) {
      if (from.depth >= to.depth && from.parent !== undefined) {
        this.#restore(from.operation)
        from = from.parent
      } else if (to.parent !== undefined) {
        ahead.push(to)
        to = to.parent
      }
    }
    for (const { operation } of ahead.toReversed()) this.#lift(operation)
    this.#current = target
  }

  #lift(operation: number): void {
    this.#linearized.add(operation)
    if (operation < this.#completed) this.#events.lift(operation)
  }

  #restore(operation: number): void {
    this.#linearized.delete(operation)
    if (operation < this.#completed) this.#events.restore(operation)
  }

  /**
   * The operations that no other unlinearized one precedes. Those that return first are tried first, because they are
   * most likely next.
   */
  #findCandidates(state: State): ReadonlyArray<number> {
    const candidates: Array<number> = []
    let node = this.#events.first()
    while (node !== END && !this.#events.isReturn(node)) {
      candidates.push(this.#events.operationAt(node))
      node = this.#events.next(node)
    }
    const readOnly = candidates.find((candidate) => this.#fitsAndIsReadOnly(candidate, state))
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
  #fitsAndIsReadOnly(candidate: number, state: State): boolean {
    const { input, outcome } = this.#operation(candidate)
    if (outcome.status !== "returned" || this.#model.isReadOnly?.(input, outcome.output) !== true)
      return false
    this.#steps++
    return this.#model.step(state, input, outcome.output) !== undefined
  }

  #stateAfter(candidate: number, { state, key }: Configuration<State>): State | undefined {
    this.#steps++
    const { input, outcome } = this.#operation(candidate)
    const output = outcome.status === "returned" ? outcome.output : unknownOutput
    const after = this.#model.step(state, input, output)
    // A step that changes its state usually returns it; the others are found at the beginning.
    if (isObject(state) && (after === state || this.#steps <= VERIFIED_STEPS)) {
      const now = this.#stateKey(state)
      if (now !== key) throw new MutatedStateError(this.#model.name, key, now)
    }
    return after
  }

  #tryNext(candidate: number, from: Configuration<State>): void {
    const state = this.#stateAfter(candidate, from)
    if (state === undefined) return
    const key = this.#stateKey(state)
    this.#lift(candidate)
    const isUnseen = this.#lookahead?.isUnseen(state, key) === true
    const seen = `${this.#linearized.key()}|${isUnseen ? "unseen" : this.#numberOf(key)}`
    if (this.#seen.has(seen)) {
      this.#restore(candidate)
      return
    }
    this.#seen.add(seen)
    const behind = this.#events.returnsFrom(this.#events.firstReturn())
    this.#current = {
      parent: from,
      depth: from.depth + 1,
      operation: candidate,
      state,
      key,
      behind,
      departure: behind < from.behind ? 0 : from.departure + departureOf(from.tried - 1),
      candidates: this.#findCandidates(state),
      tried: 0
    }
    const deadEnd = this.#lookahead?.deadEnd(state)
    if (deadEnd === undefined) this.#add(this.#current)
    else if (deadEnd > this.#furthestReturn) this.#goTo(deadEnd)
  }

  /** Makes the furthest configuration the one before a dead end, where all that return before it are linearized. */
  #goTo(deadEnd: EventNode): void {
    this.#furthestReturn = deadEnd
    this.#furthest = this.#current
    for (let node = this.#events.first(); node !== deadEnd; node = this.#events.next(node)) {
      if (!this.#events.isReturn(node)) continue
      const operation = this.#events.operationAt(node)
      const state = this.#stateAfter(operation, this.#furthest)
      if (state === undefined) throw new UnsoundForesightError(this.#model.name)
      const parent = this.#furthest
      const key = this.#stateKey(state)
      this.#furthest = { ...parent, parent, depth: parent.depth + 1, operation, state, key }
    }
  }

  #numberOf(key: string): number {
    const number = this.#states.get(key) ?? this.#states.size
    this.#states.set(key, number)
    return number
  }

  #found(): SearchResult<State, Input, Output> {
    return { verdict: "ok", ...this.#orderTo(this.#current) }
  }

  #refuted(): SearchResult<State, Input, Output> {
    const blocked = this.#operation(this.#events.operationAt(this.#furthestReturn))
    return { verdict: "illegal", blocked, ...this.#orderTo(this.#furthest) }
  }

  #orderTo(configuration: Configuration<State>) {
    const order: Array<Operation<Input, Output>> = []
    for (let at = configuration; at.parent !== undefined; at = at.parent)
      order.push(this.#operation(at.operation))
    return { order: order.toReversed(), state: configuration.state }
  }

  #operation(index: number): Operation<Input, Output> {
    const operation = this.#operations[index]
    if (operation === undefined) throw new RangeError(`No operation ${index}.`)
    return operation
  }
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null

const earlierTwins = <Input>(
  pending: ReadonlyArray<Operation<Input, unknown>>,
  firstIndex: number
): ReadonlyArray<number | undefined> => {
  const latest = new Map<string, number>()
  return pending.map(({ input }, position) => {
    const key = structuralKey(input, "input")
    const twin = latest.get(key)
    latest.set(key, firstIndex + position)
    return twin
  })
}
