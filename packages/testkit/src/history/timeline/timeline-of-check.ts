import type { Check, Legal } from "../linearizability.ts"
import { describeOperation, type Model } from "../model.ts"
import { endOf, type Operation, type RecordedHistory } from "../operation.ts"
import type { Bar, Timeline } from "./timeline.ts"

/** Maximum number of operations drawn before and after the one to blame. */
const DRAWN_BEFORE = 120
const DRAWN_AFTER = 40
const ORDER_LINES = 60

/** Draws the failed partition, with the operation to blame and the longest prefix that has a legal order. */
export const timelineOfCheck = <State, Input, Output>(
  history: RecordedHistory<Input, Output>,
  model: Model<State, Input, Output>,
  check: Exclude<Check<State, Input, Output>, { readonly verdict: "ok" }>,
  title: string
): Timeline => {
  const all = history.operations.filter(({ input }) => (model.partition?.(input) ?? "") === check.partition)
  const blamed = check.verdict === "illegal" ? check.illegal : all.at(-1)
  const involved = check.verdict === "illegal" ? (check.violation?.operations ?? []) : []
  const order = check.verdict === "illegal" ? (check.prefix?.order ?? []) : []
  const position = new Map(order.map(({ id }, index) => [id, { position: index + 1 }]))
  const drawn = nearest(all, blamed, involved)

  const barOf = (operation: Operation<Input, Output>): Bar => ({
    lane: operation.client,
    label: describeOperation(model, operation),
    fromNs: operation.calledAtNs,
    toNs: endOf(operation),
    ...position.get(operation.id),
    ...emphasisOf(operation, check, involved)
  })

  return {
    title: check.partition === "" ? title : `${title}: ${check.partition}`,
    summary: summaryOf(model, check),
    bars: drawn.map(barOf),
    marks: marksOf(history),
    omitted: all.length - drawn.length,
    ...(order.length === 0 ? {} : { order: orderText(model, order) })
  }
}

/** Draws the latest operations of a legal history, for a test that failed for another reason. */
export const timelineOfLegal = <State, Input, Output>(
  history: RecordedHistory<Input, Output>,
  model: Model<State, Input, Output>,
  { orders }: Legal<Input, Output>,
  title: string
): Timeline => {
  const positions = [...orders.values()].flatMap((order) =>
    order.map(({ id }, index) => [id, index + 1] as const)
  )
  const positionOf = new Map(positions)
  const drawn = history.operations.slice(-DRAWN_BEFORE)
  return {
    title,
    summary: [`Linearizable as ${model.name}: what failed is not the order of these operations.`],
    bars: drawn.map((operation) => {
      const position = positionOf.get(operation.id)
      return {
        lane: operation.client,
        label: describeOperation(model, operation),
        fromNs: operation.calledAtNs,
        toNs: endOf(operation),
        ...(position === undefined ? {} : { position })
      }
    }),
    marks: marksOf(history),
    omitted: history.operations.length - drawn.length
  }
}

const marksOf = ({ marks = [] }: RecordedHistory<unknown, unknown>) =>
  marks.map(({ client, ...mark }) => ({ ...mark, ...(client === undefined ? {} : { lane: client }) }))

const nearest = <Input, Output>(
  all: ReadonlyArray<Operation<Input, Output>>,
  blamed: Operation<Input, Output> | undefined,
  involved: ReadonlyArray<Operation<Input, Output>>
): ReadonlyArray<Operation<Input, Output>> => {
  const index = Math.max(
    0,
    all.findIndex(({ id }) => id === blamed?.id)
  )
  const drawn = all.slice(Math.max(0, index - DRAWN_BEFORE), index + DRAWN_AFTER)
  return [...new Set([...involved, ...drawn])].toSorted((a, b) => a.calledAtNs - b.calledAtNs)
}

const emphasisOf = <State, Input, Output>(
  { id }: Operation<Input, Output>,
  check: Check<State, Input, Output>,
  involved: ReadonlyArray<Operation<Input, Output>>
): Pick<Bar, "emphasis"> => {
  if (check.verdict === "illegal" && check.illegal.id === id) return { emphasis: "illegal" }
  return involved.some((other) => other.id === id) ? { emphasis: "involved" } : {}
}

const summaryOf = <State, Input, Output>(
  model: Model<State, Input, Output>,
  check: Exclude<Check<State, Input, Output>, { readonly verdict: "ok" }>
): ReadonlyArray<string> => {
  if (check.verdict === "unknown") return [`Undecided: the checker reached its limit (${check.reason}).`]
  const { illegal, violation } = check
  const subject = `${illegal.client}: ${describeOperation(model, illegal)}`
  return [
    `Not linearizable as ${model.name}: no legal order contains ${subject}`,
    ...(violation === undefined ? [] : [`${violation.invariant}: ${violation.message}`])
  ]
}

const orderText = <State, Input, Output>(
  model: Model<State, Input, Output>,
  order: ReadonlyArray<Operation<Input, Output>>
) => {
  const lines = order.map(
    (operation, index) => `${index + 1}. ${operation.client}: ${describeOperation(model, operation)}`
  )
  const skipped = Math.max(0, lines.length - ORDER_LINES)
  return {
    heading: `The longest linearizable prefix: ${lines.length} operations in a legal order`,
    lines: skipped === 0 ? lines : [`(${skipped} before)`, ...lines.slice(skipped)]
  }
}
