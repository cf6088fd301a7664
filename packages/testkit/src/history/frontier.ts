/** A configuration: the operations linearized on the way from the root, and the state after them. */
export interface Configuration<State> {
  readonly parent: Configuration<State> | undefined
  readonly depth: number
  /** The operation linearized last; -1 at the root. */
  readonly operation: number
  readonly state: State
  readonly key: string
  /** How far the order departs from the order of the returns, since the first return changed. */
  readonly departure: number
  /** The number of returns that are left, from the first one that awaits its operation. */
  readonly behind: number
  /** The operations that may come next. */
  readonly candidates: ReadonlyArray<number>
  /** How many of them were tried. */
  tried: number
}

/** What trying a candidate departs. The first is the operation that returns first; it and the next depart nothing. */
export const departureOf = (candidate: number): number => Math.max(0, candidate - 1)

/**
 * The configurations with candidates left. The most urgent one has the fewest returns left, and departs least from the
 * order of the returns: each return that is explained is worth one departure (after Harvey and Ginsberg, "Limited
 * discrepancy search", IJCAI 1995).
 */
export class Frontier<State> {
  readonly #byUrgency: Array<Array<Configuration<State>>> = []
  #mostUrgent = 0

  /** Keeps the configuration unless all its candidates were tried. */
  add(configuration: Configuration<State>): void {
    const { behind, departure, tried, candidates } = configuration
    if (tried >= candidates.length) return
    const urgency = behind + departure + departureOf(tried)
    while (this.#byUrgency.length <= urgency) this.#byUrgency.push([])
    this.#byUrgency[urgency]?.push(configuration)
    this.#mostUrgent = Math.min(this.#mostUrgent, urgency)
  }

  /** Removes the most urgent configuration, of equal ones the latest. */
  take(): Configuration<State> | undefined {
    for (; this.#mostUrgent < this.#byUrgency.length; this.#mostUrgent++) {
      const found = this.#byUrgency[this.#mostUrgent]?.pop()
      if (found !== undefined) return found
    }
    return undefined
  }
}
