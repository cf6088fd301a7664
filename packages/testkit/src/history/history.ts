import { strictClock, type StrictClock } from "./clock.ts"
import type { Mark, Operation, Outcome } from "./operation.ts"

/** How a rejected operation is to be understood; see {@link Outcome}. */
export type ErrorMeaning<Output> = "failed" | "unknown" | { readonly output: Output }

export interface HistoryOptions {
  /** Origin of the clock, to record one history from several processes of a machine. Default: now. */
  readonly originNs?: bigint
  /** Operations it holds at most; one more throws. Default 1,000,000. */
  readonly capacity?: number
}

export interface RecordOptions<Result, Output> {
  /** The output the model knows, made from what the call resolved to. Default: the result itself. */
  readonly output?: (result: Result) => Output
  /** What a rejection means. Default `unknown`: an error alone does not prove that nothing happened. */
  readonly onError?: (error: unknown) => ErrorMeaning<Output>
}

/** An operation that was called and is still open. Settle it once; one that is never settled stays unknown. */
export interface OpenOperation<Output> {
  readonly id: number
  /** It took effect and answered. */
  readonly returned: (output: Output) => void
  /** It certainly had no effect. */
  readonly failed: (error: unknown) => void
  /** The client gave up without knowing what became of it. */
  readonly lost: (error?: unknown) => void
}

/**
 * Records what clients did, in real time, so that a checker can tell afterwards whether it could have happened one
 * after the other.
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

  /** Pass it to another process's `History` to let both record on one clock. */
  get originNs(): bigint {
    return this.#clock.originNs
  }

  /** All operations so far, in the order of their calls. */
  get operations(): ReadonlyArray<Operation<Input, Output>> {
    return this.#operations
  }

  get marks(): ReadonlyArray<Mark> {
    return this.#marks
  }

  /** Notes that `client` calls now; the returned handle says how it ended. */
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

  /** Calls `run` and records it; resolves and rejects exactly as `run` does. */
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
    operation.returned(options.output ? options.output(result) : (result as unknown as Output))
    return result
  }

  /** Notes a fault or another event, for the timeline. */
  mark(label: string, client?: string): void {
    this.#marks.push({ label, atNs: this.#clock.now(), ...(client === undefined ? {} : { client }) })
  }

  /** Adds operations recorded elsewhere on the same clock, for example by a child process. */
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
