import { expectHistory, type ExpectOptions } from "./expect-history.ts"
import { History } from "./history.ts"
import type { Legal } from "./linearizability.ts"
import type { Model } from "./model.ts"

/** Nothing was recorded, so the check proves nothing. */
export class EmptyHistoryError extends Error {
  readonly _tag = "EmptyHistory"

  constructor(title: string) {
    super(`Nothing was recorded in the history "${title}", so nothing is proved.`)
    this.name = "EmptyHistoryError"
  }
}

/**
 * A history together with the model that it must follow.
 *
 * @example
 * const sales = new CheckedHistory(stockCounter({ initial: 5 }))
 * await sales.record("buyer 1", { action: "take" }, () => shop.buy())
 * sales.expectLinearizable()
 */
export class CheckedHistory<State, Input, Output> extends History<Input, Output> {
  readonly model: Model<State, Input, Output>
  readonly title: string
  #checkedOperations: number | undefined

  constructor(model: Model<State, Input, Output>, title: string = model.name) {
    super()
    this.model = model
    this.title = title
  }

  /** Whether {@link expectLinearizable} has seen all recorded operations. */
  get isChecked(): boolean {
    return this.#checkedOperations === this.operations.length
  }

  /**
   * Throws unless the operations have a legal order.
   *
   * @returns a legal order of each partition
   * @throws EmptyHistoryError when nothing was recorded
   * @throws NotLinearizableError, UndecidedHistoryError as {@link expectHistory} does
   */
  expectLinearizable(options: ExpectOptions = {}): Legal<Input, Output> {
    this.#checkedOperations = this.operations.length
    if (this.operations.length === 0) throw new EmptyHistoryError(this.title)
    return expectHistory(this).linearizable(this.model, { title: this.title, ...options })
  }
}
