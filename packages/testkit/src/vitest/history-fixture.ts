import * as vitest from "vitest"
import type { TestArtifactBase, TestContext } from "vitest"
import { CheckedHistory } from "../history/checked-history.ts"
import { NotLinearizableError, UndecidedHistoryError, type ExpectOptions } from "../history/expect-history.ts"
import { checkLinearizable, type Legal } from "../history/linearizability.ts"
import type { Model } from "../history/model.ts"
import { timelineOfLegal } from "../history/timeline/timeline-of-check.ts"
import { writeTimeline } from "../history/timeline/write-timeline.ts"

/** The fixture `history`: creates histories, each with the model it must follow. */
export interface HistoryFixture {
  /**
   * Creates a history that is checked against the model by its `expectLinearizable()`, or else when the test ends. If
   * the test fails, the history's timeline is written to a file and attached to the test.
   *
   * @param title heading and file name of the timeline. Default: the name of the test.
   */
  <State, Input, Output>(
    model: Model<State, Input, Output>,
    title?: string
  ): CheckedHistory<State, Input, Output>
  /** Records an event in all histories of the test. The `faults` fixture records its faults this way. */
  mark(label: string): void
}

type Context = Pick<TestContext, "task" | "annotate">

/** A history of the test, without its type parameters. */
interface Recorded {
  readonly mark: (label: string) => void
  readonly conclude: (testFailed: boolean) => Promise<void>
}

/** The fixture, and what to do when the test has ended; `conclude` rejects when a history is not linearizable. */
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

/** A history that attaches its timeline to a failing test. */
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

  /** Checks the history unless the test did, and draws it when the test failed. */
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
      // No error message contains this path.
      console.error(`testkit: timeline of "${this.title}": ${path}`)
      this.#attach(path)
    }
  }

  #attach(path: string): void {
    this.#attaching = attachTimeline(this.#context, `Timeline of "${this.title}"`, path)
    // Awaited when the test ends; an earlier rejection must not count as unhandled.
    this.#attaching.catch(() => {})
  }
}

interface TimelineArtifact extends TestArtifactBase {
  readonly type: "@holdfast/testkit:timeline"
  readonly message: string
}

const timeline = Symbol("timeline")

declare module "vitest" {
  interface TestArtifactRegistry {
    [timeline]: TimelineArtifact
  }
}

/**
 * Attaches an HTML file to the test: as an annotation, which reporters show, while the test runs, and afterwards as an
 * artifact, because annotations are no longer accepted then. Vitest 3 has no artifacts; the error still has the path.
 */
async function attachTimeline({ task, annotate }: Context, message: string, path: string): Promise<void> {
  const attachment = { path, contentType: "text/html" }
  if (task.result?.state === "run") await annotate(message, attachment)
  else if ("recordArtifact" in vitest)
    await vitest.recordArtifact(task, {
      type: "@holdfast/testkit:timeline",
      message,
      attachments: [attachment]
    })
}
