import type { Mark, Operation } from "./operation.ts"
import { describeOperation, type Model } from "./model.ts"
import {
  checkLinearizable,
  type CheckOptions,
  type Illegal,
  type Legal,
  type Undecided
} from "./linearizability.ts"
import { timelineOfCheck } from "./timeline/timeline-of-check.ts"
import { writeTimeline } from "./timeline/write-timeline.ts"

/** A {@link History}, or what one recorded. */
export interface RecordedHistory<Input, Output> {
  readonly operations: ReadonlyArray<Operation<Input, Output>>
  readonly marks?: ReadonlyArray<Mark>
}

export interface ExpectOptions extends CheckOptions {
  /** Heading and file name of the timeline. Default: the name of the model. */
  readonly title?: string
  /** Where a failing history's timeline is written; see {@link writeTimeline}. */
  readonly timelineDirectory?: string
}

/** No legal order exists. */
export class NotLinearizableError extends Error {
  readonly _tag = "NotLinearizable"
  readonly model: string
  readonly check: Illegal<unknown, unknown, unknown>
  /** File with the HTML timeline. */
  readonly timelinePath: string

  constructor(message: string, fields: Pick<NotLinearizableError, "model" | "check" | "timelinePath">) {
    super(message)
    this.name = "NotLinearizableError"
    this.model = fields.model
    this.check = fields.check
    this.timelinePath = fields.timelinePath
  }
}

/** The checker gave up; the history may or may not be linearizable. */
export class UndecidedHistoryError extends Error {
  readonly _tag = "UndecidedHistory"
  readonly model: string
  readonly check: Undecided
  readonly timelinePath: string

  constructor(message: string, fields: Pick<UndecidedHistoryError, "model" | "check" | "timelinePath">) {
    super(message)
    this.name = "UndecidedHistoryError"
    this.model = fields.model
    this.check = fields.check
    this.timelinePath = fields.timelinePath
  }
}

/**
 * Expectations about a recorded history.
 *
 * @example
 * expectHistory(history).linearizable(stockCounter({ initial: 5 }))
 */
export const expectHistory = <Input, Output>(history: RecordedHistory<Input, Output>) => ({
  /**
   * Throws unless the history has a legal order.
   *
   * @returns the legal orders
   * @throws {@link NotLinearizableError} when there is none, {@link UndecidedHistoryError} when nobody knows; both
   * have written a timeline and name its path
   */
  linearizable: <State>(
    model: Model<State, Input, Output>,
    options: ExpectOptions = {}
  ): Legal<Input, Output> => {
    const check = checkLinearizable(history, model, options)
    if (check.verdict === "ok") return check
    const title = options.title ?? model.name
    const timelinePath = writeTimeline(
      timelineOfCheck(history, model, check, title),
      options.timelineDirectory
    )
    const fields = { model: model.name, timelinePath }
    if (check.verdict === "illegal") {
      throw new NotLinearizableError(explain(model, check, timelinePath), { ...fields, check })
    }
    const message =
      `Undecided: nobody knows whether the history of ${inPartition(model.name, check.partition)} is linearizable. ` +
      `The checker reached its limit (${check.reason}) after ${check.steps} steps.\nTimeline: ${timelinePath}`
    throw new UndecidedHistoryError(message, { ...fields, check })
  }
})

const explain = <State, Input, Output>(
  model: Model<State, Input, Output>,
  check: Illegal<State, Input, Output>,
  timelinePath: string
): string => {
  const line = (operation: Operation<Input, Output>) =>
    `  ${operation.client}: ${describeOperation(model, operation)}  ${interval(operation)}`
  const { prefix, violation, illegal, operations } = check
  const lines = [
    `Not linearizable: no order of the operations is legal for ${inPartition(model.name, check.partition)}.`
  ]
  if (violation !== undefined) {
    lines.push(`${violation.invariant}: ${violation.message}`, ...violation.operations.map(line))
  } else lines.push("This operation fits nowhere:", line(illegal))
  if (prefix !== undefined) {
    lines.push(
      `The longest linearizable prefix orders ${prefix.order.length} of ${operations.length} operations ` +
        `and ends in state ${JSON.stringify(prefix.state)}:`,
      ...prefix.order.slice(-5).map(line)
    )
  }
  return [...lines, `Timeline: ${timelinePath}`].join("\n")
}

const inPartition = (model: string, partition: string): string =>
  partition === "" ? model : `${model} "${partition}"`

const interval = ({ calledAtNs, outcome }: Operation<unknown, unknown>): string => {
  const end =
    outcome.status === "unknown" ? "never answered" : `${(outcome.returnedAtNs / 1e6).toFixed(3)} ms`
  return `[${(calledAtNs / 1e6).toFixed(3)} ms .. ${end}]`
}
