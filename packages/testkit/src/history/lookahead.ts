import { END, type EventList, type EventNode } from "./event-list.ts"
import type { LinearizedSet } from "./linearized-set.ts"
import type { Foresight, Model } from "./model.ts"
import { endOf, type Operation } from "./operation.ts"

/** What the search has fixed and what it is at. */
interface Searched<State, Input, Output> {
  readonly model: Model<State, Input, Output>
  /** The completed ones first. */
  readonly operations: ReadonlyArray<Operation<Input, Output>>
  readonly completed: number
  readonly events: EventList
  readonly linearized: LinearizedSet
}

/** Applies the foresight of a model to the operations that are not linearized yet. */
export class Lookahead<State, Input, Output> {
  readonly #searched: Searched<State, Input, Output>
  readonly #foresight: Foresight<State, Input, Output>
  readonly #reads: ReadonlySet<number>
  readonly #overwrites: ReadonlySet<number>
  readonly #pendingOverwrites: ReadonlyArray<number>
  /** By the key of a state, the reads that may still return it or what follows from it. */
  readonly #readers = new Map<string, ReadonlyArray<number>>()

  constructor(searched: Searched<State, Input, Output>, foresight: Foresight<State, Input, Output>) {
    this.#searched = searched
    this.#foresight = foresight
    const { completed, model, operations } = searched
    const indices = operations.map((_, index) => index)
    this.#reads = new Set(
      indices.filter((index) => {
        const { input, outcome } = this.#operation(index)
        return outcome.status === "returned" && model.isReadOnly?.(input, outcome.output) === true
      })
    )
    const overwrites = indices.filter((index) => foresight.overwrites(this.#operation(index).input))
    this.#overwrites = new Set(overwrites)
    this.#pendingOverwrites = overwrites.filter((index) => index >= completed)
  }

  /**
   * Whether no later output can depend on the state. States of this kind are interchangeable, because every operation
   * is possible in each, and they end with the next overwrite.
   */
  isUnseen(state: State, key: string): boolean {
    let readers = this.#readers.get(key)
    if (readers === undefined) {
      readers = [...this.#reads].filter((read) => this.#mayReturn(state, read))
      this.#readers.set(key, readers)
    }
    return readers.every((read) => this.#searched.linearized.has(read))
  }

  /**
   * The first return that no order of what is left can explain, if it is that of a read. All that return before it can
   * be linearized in the order of their returns.
   */
  deadEnd(state: State): EventNode | undefined {
    const { events } = this.#searched
    for (let node = events.first(); node !== END; node = events.next(node)) {
      const operation = events.operationAt(node)
      if (!events.isReturn(node)) {
        if (this.#overwrites.has(operation)) return undefined
      } else if (this.#reads.has(operation)) {
        const isBlocked = !this.#mayReturn(state, operation) && !this.#mayBeOverwrittenBefore(operation)
        return isBlocked ? node : undefined
      }
    }
    return undefined
  }

  #mayBeOverwrittenBefore(read: number): boolean {
    const untilNs = endOf(this.#operation(read))
    return this.#pendingOverwrites.some(
      (index) => !this.#searched.linearized.has(index) && this.#operation(index).calledAtNs <= untilNs
    )
  }

  #mayReturn(state: State, read: number): boolean {
    const { input, outcome } = this.#operation(read)
    return outcome.status !== "returned" || this.#foresight.mayStillReturn(state, input, outcome.output)
  }

  #operation(index: number): Operation<Input, Output> {
    const operation = this.#searched.operations[index]
    if (operation === undefined) throw new RangeError(`No operation ${index}.`)
    return operation
  }
}
