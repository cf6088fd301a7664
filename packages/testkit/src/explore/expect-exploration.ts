import { assertOptions } from "../internal/options.ts"
import type { Timeline } from "../history/timeline/timeline.ts"
import { writeTimeline } from "../history/timeline/write-timeline.ts"
import type { Exploration, ExplorationFailure } from "./explore.ts"
import { normaliseLabel } from "./labels.ts"
import type { Step } from "./scenario.ts"

/** The scenario fails under a schedule. */
export class ScheduleViolationError extends Error {
  readonly _tag = "ScheduleViolation"
  readonly exploration: Exploration
  /** Repeats the failing schedule: `replay(scenario, error.code)`. */
  readonly code: string
  readonly timelinePath: string

  constructor(
    message: string,
    fields: Pick<ScheduleViolationError, "exploration" | "code" | "timelinePath">
  ) {
    super(message)
    this.name = "ScheduleViolationError"
    this.exploration = fields.exploration
    this.code = fields.code
    this.timelinePath = fields.timelinePath
  }
}

/** No failure was found, but the exploration is not conclusive; the message says why. */
export class IncompleteExplorationError extends Error {
  readonly _tag = "IncompleteExploration"
  readonly exploration: Exploration

  constructor(message: string, exploration: Exploration) {
    super(message)
    this.name = "IncompleteExplorationError"
    this.exploration = exploration
  }
}

/**
 * Expectations about what {@link explore} found.
 *
 * @example
 * expectExploration(await explore(scenario)).safe()
 */
export const expectExploration = (exploration: Exploration) => ({
  /**
   * Throws when a schedule failed, when none was judged, or when the same schedule led to different situations.
   *
   * @throws ScheduleViolationError when a schedule failed, with its code and the path of a timeline
   * @throws IncompleteExplorationError otherwise
   */
  safe: (options: SafeOptions = {}): void => {
    const names = { exhaustive: true, allowNondeterminism: true, timelineDirectory: true } as const
    assertOptions("safe", options, names)
    const { failure, nondeterminism, truncated, schedules, uncontrolled, name } = exploration
    if (failure !== undefined) throw violation(exploration, failure, options)
    if (schedules === truncated) {
      throw new IncompleteExplorationError(
        `${name}: no schedule came to its end, so none was judged.`,
        exploration
      )
    }
    if (nondeterminism !== undefined && options.allowNondeterminism !== true) {
      throw new IncompleteExplorationError(`${name}: ${describeNondeterminism(exploration)}`, exploration)
    }
    if (options.exhaustive === true && !exploration.exhaustive) {
      const message =
        uncontrolled.length > 0
          ? `${name}: the schedules do not decide everything:\n${uncontrolled.map((what) => `  ${what}`).join("\n")}`
          : `${name}: ${schedules} schedules were run (${truncated} of them cut off), but there are more.`
      throw new IncompleteExplorationError(message, exploration)
    }
  }
})

/** What counts as safe. */
export interface SafeOptions {
  /** Require that all existing schedules were run, and that they decide everything. */
  readonly exhaustive?: boolean
  /** Accept outcomes that depend on more than the schedule. */
  readonly allowNondeterminism?: boolean
  /** Directory for the timeline of a failure; see {@link writeTimeline}. */
  readonly timelineDirectory?: string
}

const describeNondeterminism = ({ nondeterminism }: Exploration): string => {
  if (nondeterminism === undefined) return ""
  const { count, first } = nondeterminism
  return (
    `the same choices led to different situations ${count} times, so something besides the schedule decides.\n` +
    `First after ${first.depth} steps:\n  before: ${first.expected}\n  then:   ${first.actual}`
  )
}

const violation = (
  exploration: Exploration,
  failure: ExplorationFailure,
  { timelineDirectory }: SafeOptions
): ScheduleViolationError => {
  const { message, code, foundAs, foundAfter, steps, replays } = failure
  const timelinePath = writeTimeline(timelineOf(exploration, failure), timelineDirectory)
  const lines = [
    `${exploration.name}: ${message}`,
    ...steps.map((step, index) => `  ${describeStep(step, index)}`),
    `Found after ${foundAfter} schedules as ${foundAs}; repeats as "${code}" (${replays.same} of ${replays.of} times).`
  ]
  if (exploration.nondeterminism !== undefined) lines.push(`Besides, ${describeNondeterminism(exploration)}`)
  lines.push(`Timeline: ${timelinePath}`)
  return new ScheduleViolationError(lines.join("\n"), { exploration, code, timelinePath })
}

const describeStep = ({ name, label }: Step, index: number): string =>
  name === label ? `${index + 1}. ${name}` : `${index + 1}. ${name}: ${normaliseLabel(label)}`

/** One column per step. A step is drawn until the next one begins, or until its later answer. */
const timelineOf = ({ name }: Exploration, { message, code, steps }: ExplorationFailure): Timeline => ({
  title: name,
  summary: [message, `Repeats as ${code}`],
  bars: steps.map(({ name: lane, label, fromMs, toMs }, index) => ({
    lane,
    label: normaliseLabel(label),
    fromNs: fromMs * 1e6,
    toNs: Math.max(toMs ?? Infinity, steps[index + 1]?.fromMs ?? 0) * 1e6,
    position: index + 1
  })),
  marks: [],
  omitted: 0,
  legend: "Numbers are the order of the steps.",
  columnWidthRem: 10,
  order: {
    heading: "The steps",
    lines: steps.map(describeStep)
  }
})
