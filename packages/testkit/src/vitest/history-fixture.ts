import type { TestContext } from "vitest"
import { CheckedHistory } from "../history/checked-history.ts"
import { NotLinearizableError, UndecidedHistoryError, type ExpectOptions } from "../history/expect-history.ts"
import { checkLinearizable, type Legal } from "../history/linearizability.ts"
import type { Model } from "../history/model.ts"
import { timelineOfLegal } from "../history/timeline/timeline-of-check.ts"
import { writeTimeline } from "../history/timeline/write-timeline.ts"
import { attachTimeline } from "./attach.ts"

/** What a test gets as `history`: it makes histories, each with the model that it must follow. */
export interface HistoryFixture {
  /**
   * A history that is checked against the model: by its `expectLinearizable()`, else when the test ends. The timeline
   * of a failed test's history is written to a file and attached to the test.
   *
   * @param title  heading and file name of the timeline; the test's name unless told
   */
  <State, Input, Output>(
    model: Model<State, Input, Output>,
    title?: string
  ): CheckedHistory<State, Input, Output>
  /** Notes a fault or another event in all histories of the test. Faults of the `faults` fixture are noted so. */
  mark(label: string): void
}

type Context = Pick<TestContext, "task" | "annotate">

/** One of a test's histories, whatever its types. */
interface Recorded {
  readonly mark: (label: string) => void
  readonly conclude: (testFailed: boolean) => Promise<void>
}

/** The fixture, and what is to be done when the test has ended: it rejects when a history is not as it must be. */
export function historyFixture(context: Context): {
  readonly history: HistoryFixture
  readonly conclude: () => Promise<void>
} {
  const recorded: Array<Recorded> = []
  const make = <State, Input, Output>(
    model: Model<State, Input, Output>,
    title: string = context.task.name
  ): CheckedHistory<State, Input, Output> => {
    const made = new AttachedHistory(model, title, context)
    recorded.push({ mark: (label) => made.mark(label), conclude: (testFailed) => made.conclude(testFailed) })
    return made
  }
  const mark = (label: string) => {
    for (const each of recorded) each.mark(label)
  }
  return {
    history: Object.assign(make, { mark }),
    conclude: async () => {
      const testFailed = context.task.result?.state === "fail"
      for (const each of recorded) await each.conclude(testFailed)
    }
  }
}

/** Attaches its timeline to the test when that fails. */
class AttachedHistory<State, Input, Output> extends CheckedHistory<State, Input, Output> {
  readonly #context: Context
  #attaching: Promise<void> | undefined

  constructor(model: Model<State, Input, Output>, title: string, context: Context) {
    super(model, title)
    this.#context = context
  }

  override expectLinearizable(options: ExpectOptions = {}): Legal<Input, Output> {
    try {
      return super.expectLinearizable(options)
    } catch (error) {
      if (error instanceof NotLinearizableError || error instanceof UndecidedHistoryError)
        this.#attach(error.timelinePath)
      throw error
    }
  }

  /** Looks at what the test did not look at itself, and draws the history of a test that failed. */
  async conclude(testFailed: boolean): Promise<void> {
    try {
      if (testFailed && this.#attaching === undefined) this.#draw()
      else if (!this.isChecked) this.expectLinearizable()
    } finally {
      await this.#attaching
    }
  }

  #draw(): void {
    const check = checkLinearizable(this, this.model)
    if (check.verdict !== "ok") this.expectLinearizable()
    else {
      const path = writeTimeline(timelineOfLegal(this, this.model, check, this.title))
      // No error names this one.
      console.error(`testkit: timeline of "${this.title}": ${path}`)
      this.#attach(path)
    }
  }

  #attach(path: string): void {
    this.#attaching = attachTimeline(this.#context, `Timeline of "${this.title}"`, path)
    // Awaited when the test ends; until then nobody looks.
    this.#attaching.catch(() => {})
  }
}
