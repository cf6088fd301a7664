import type { Operation, RecordedHistory } from "./operation.ts"
import { brief, describeOperation, type Model } from "./model.ts"
import {
  checkLinearizable,
  type CheckOptions,
  type Illegal,
  type Legal,
  type Undecided
} from "./linearizability.ts"
import { timelineOfCheck } from "./timeline/timeline-of-check.ts"
import { writeTimeline } from "./timeline/write-timeline.ts"

/** Limits of the check, and where its timeline goes. */
export interface ExpectOptions extends CheckOptions {
  /** Heading and file name of the timeline. Default: the name of the model. */
  readonly title?: string
  /** Directory for the timeline of a failing history; see {@link writeTimeline}. */
  readonly timelineDirectory?: string
}

/** The history has no legal order. */
export class NotLinearizableError extends Error {
  readonly _tag = "NotLinearizable"
  readonly model: string
  readonly check: Illegal<unknown, unknown, unknown>
  /** Path of the HTML timeline. */
  readonly timelinePath: string

  constructor(message: string, fields: Pick<NotLinearizableError, "model" | "check" | "timelinePath">) {
    super(message)
    this.name = "NotLinearizableError"
    this.model = fields.model
    this.check = fields.check
    this.timelinePath = fields.timelinePath
  }
}

/** The checker reached a limit, so the history may or may not be linearizable. */
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
   * @returns a legal order of each partition
   * @throws NotLinearizableError when there is none, with the path of a timeline
   * @throws UndecidedHistoryError when the checker reached a limit, with the path of a timeline
   */
  linearizable: <State>(
    model: Model<State, Input, Output>,
    { title = model.name, timelineDirectory, ...limits }: ExpectOptions = {}
  ): Legal<Input, Output> => {
    const check = checkLinearizable(history, model, limits)
    if (check.verdict === "ok") return check
    const timelinePath = writeTimeline(timelineOfCheck(history, model, check, title), timelineDirectory)
    const fields = { model: model.name, timelinePath }
    if (check.verdict === "illegal") {
      throw new NotLinearizableError(explain(model, check, timelinePath), { ...fields, check })
    }
    const message =
      `Undecided: the history of ${inPartition(model.name, check.partition)} may or may not be linearizable. ` +
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
        `and ends in state ${brief(prefix.state)}:`,
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
