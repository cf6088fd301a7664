import type { Mark, Operation, Outcome } from "./operation.ts"

/** What a rejection means: no effect, an unknown effect, or an output that the model knows. */
export type ErrorMeaning<Output> = "failed" | "unknown" | { readonly output: Output }

/** The clock and the size of a history. */
export interface HistoryOptions {
  /** Origin of the clock, shared to record one history from several processes of a machine. Default: now. */
  readonly originNs?: bigint
  /** Maximum number of operations; one more throws. Default 1,000,000. */
  readonly capacity?: number
}

/** How a call's result or error becomes an output of the model. */
export interface RecordOptions<Result, Output> {
  /** Makes the model's output from the result of the call. Default: the result itself. */
  readonly output?: (result: Result) => Output
  /** What a rejection means. Default "unknown", because an error does not prove that nothing happened. */
  readonly onError?: (error: unknown) => ErrorMeaning<Output>
}

/** An operation in progress. Settle it at most once; an unsettled one stays unknown. */
export interface OpenOperation<Output> {
  readonly id: number
  /** It took effect and returned an output. */
  readonly returned: (output: Output) => void
  /** It certainly had no effect. */
  readonly failed: (error: unknown) => void
  /** The client gave up without knowing its effect. */
  readonly lost: (error?: unknown) => void
}

/**
 * A clock whose readings strictly increase, so that two events of one process never tie. It reads CLOCK_MONOTONIC, which
 * all processes of a machine share: histories recorded with the same origin can be merged.
 */
interface StrictClock {
  readonly originNs: bigint
  /** Nanoseconds since the origin. */
  readonly now: () => number
}

export const strictClock = (
  originNs: bigint = process.hrtime.bigint(),
  read: () => bigint = () => process.hrtime.bigint()
): StrictClock => {
  let last = -1
  return {
    originNs,
    now: () => {
      last = Math.max(last + 1, Number(read() - originNs))
      return last
    }
  }
}

/**
 * Records the operations of clients in real time, so that a checker can tell whether they could have happened one after
 * the other.
 *
 * @example
 * const history = new History<StockInput, StockOutput>()
 * await history.record("buyer 1", { action: "take" }, () => shop.buy())
 */
export class History<Input, Output> {
  readonly #clock: StrictClock
  readonly #capacity: number
  readonly #operations: Array<Operation<Input, Output>> = []
  readonly #marks: Array<Mark> = []

  constructor(options: HistoryOptions = {}) {
    this.#clock = strictClock(options.originNs)
    this.#capacity = options.capacity ?? 1_000_000
  }

  /** Origin of the clock. Pass it to the `History` of another process to record both on one clock. */
  get originNs(): bigint {
    return this.#clock.originNs
  }

  /** All operations so far, in the order of their calls; merged ones come last. */
  get operations(): ReadonlyArray<Operation<Input, Output>> {
    return this.#operations
  }

  /** All faults and other events so far. */
  get marks(): ReadonlyArray<Mark> {
    return this.#marks
  }

  /**
   * Records that `client` calls now. Settle the returned handle when the call ends.
   *
   * @throws Error when the history is full
   */
  call(client: string, input: Input): OpenOperation<Output> {
    const id = this.#push({ client, input, calledAtNs: this.#clock.now(), outcome: { status: "unknown" } })
    return {
      id,
      returned: (output) => this.#settle(id, { status: "returned", output, returnedAtNs: this.#clock.now() }),
      failed: (error) => this.#settle(id, { status: "failed", error, returnedAtNs: this.#clock.now() }),
      lost: (error) =>
        this.#settle(id, {
          status: "unknown",
          gaveUpAtNs: this.#clock.now(),
          ...(error === undefined ? {} : { error })
        })
    }
  }

  /**
   * Calls `run` and records it as one operation. Resolves and rejects exactly as `run` does.
   *
   * @throws Error when the history is full
   */
  async record<Result extends Output>(
    client: string,
    input: Input,
    run: () => Promise<Result>,
    options?: RecordOptions<Result, Output>
  ): Promise<Result>
  async record<Result>(
    client: string,
    input: Input,
    run: () => Promise<Result>,
    options: RecordOptions<Result, Output> & { readonly output: (result: Result) => Output }
  ): Promise<Result>
  async record<Result>(
    client: string,
    input: Input,
    run: () => Promise<Result>,
    options: RecordOptions<Result, Output> = {}
  ): Promise<Result> {
    const operation = this.call(client, input)
    let result: Result
    try {
      result = await run()
    } catch (error) {
      const meaning = options.onError?.(error) ?? "unknown"
      if (meaning === "failed") operation.failed(error)
      else if (meaning === "unknown") operation.lost(error)
      else operation.returned(meaning.output)
      throw error
    }
    // The overloads require `output` unless the result is already one.
    operation.returned(options.output ? options.output(result) : (result as unknown as Output))
    return result
  }

  /** Records a fault or another event for the timeline. */
  mark(label: string, client?: string): void {
    this.#marks.push({ label, atNs: this.#clock.now(), ...(client === undefined ? {} : { client }) })
  }

  /** Adds operations that another process recorded on the same clock. */
  merge(operations: Iterable<Omit<Operation<Input, Output>, "id">>): void {
    for (const operation of operations) this.#push(operation)
  }

  #push(operation: Omit<Operation<Input, Output>, "id">): number {
    const id = this.#operations.length
    if (id >= this.#capacity) throw new Error(`The history is full: it holds ${this.#capacity} operations.`)
    this.#operations.push({ ...operation, id })
    return id
  }

  #settle(id: number, outcome: Outcome<Output>): void {
    const operation = this.#operations[id]
    if (operation === undefined) throw new RangeError(`No operation ${id}.`)
    const { outcome: before } = operation
    if (before.status !== "unknown" || before.gaveUpAtNs !== undefined) {
      throw new Error(`Operation ${id} of ${operation.client} was settled twice.`)
    }
    this.#operations[id] = { ...operation, outcome }
  }
}
