import { settler, withDeadline } from "./deadline.ts"

/** A step for which code was registered was not reached in time, or not before the points were closed. */
export class StepNotReached extends Error {
  readonly _tag = "StepNotReached"
  readonly step: string
  readonly passed: ReadonlyArray<string>

  constructor(step: string, nth: number, passed: ReadonlyArray<string>, why: string) {
    const which = nth === 1 ? "" : ` for the ${nth}th time`
    const seen = passed.length === 0 ? "no step was reached at all" : `reached were: ${passed.join(", ")}`
    super(`step "${step}" was not reached${which} ${why}; ${seen}`)
    this.name = "StepNotReached"
    this.step = step
    this.passed = passed
  }
}

/** The injected code did not end in time; the side that waited for it went on without it. */
export class InjectionTimedOut extends Error {
  readonly _tag = "InjectionTimedOut"
  readonly step: string
  readonly deadlineMs: number

  constructor(step: string, deadlineMs: number) {
    super(
      `the code injected at step "${step}" did not end within ${deadlineMs} ms;` +
        ` it may wait for a lock of the side that is held there (then use \`alongside\`)`
    )
    this.name = "InjectionTimedOut"
    this.step = step
    this.deadlineMs = deadlineMs
  }
}

export interface InjectionOptions {
  /** At which passing of the step, 1 unless told. */
  readonly nth?: number
  /** For the step to be reached, and again for the injected code to end; the points' deadline unless told. */
  readonly deadlineMs?: number
}

/** Code that waits for its step. */
export interface Injection<A> {
  /** What the injected code answered; its error, `StepNotReached` or `InjectionTimedOut`. */
  readonly done: Promise<A>
}

export interface StepPoints {
  /** In the code under test: "I am here". Goes on at once unless code was registered for this step. */
  readonly reached: (name: string) => Promise<void>
  /** A step with an extent: what was registered `before` runs before `body`, what was registered `after`, after it. */
  step<A>(name: string, body: () => A | PromiseLike<A>): Promise<A>
  /** Holds the side that reaches the step until `run` has ended, then lets it take the step. */
  before<A>(name: string, run: () => A | PromiseLike<A>, options?: InjectionOptions): Injection<A>
  /** Lets the other side take the step, then holds it until `run` has ended. */
  after<A>(name: string, run: () => A | PromiseLike<A>, options?: InjectionOptions): Injection<A>
  /** Starts `run` when the step is reached and lets the other side go on at once: for code that must block. */
  alongside<A>(name: string, run: () => A | PromiseLike<A>, options?: InjectionOptions): Injection<A>
  /** The steps passed so far, in order. */
  readonly passed: ReadonlyArray<string>
  /** Fails all injections whose step was never reached. */
  close(): void
}

type Position = "before" | "after" | "alongside"

interface Pending {
  readonly name: string
  readonly position: Position
  remaining: number
  /** Runs the injected code; settles when the other side may go on. Never rejects. */
  readonly inject: () => Promise<void>
  readonly giveUp: (why: string) => void
}

/**
 * Named points in code under test at which a test runs code of its own, without sleeping and without mocks.
 * The code under test takes `steps` as a hook (`onFailpoint: (name) => steps.reached(name)`).
 */
export const stepPoints = (options: { readonly deadlineMs?: number } = {}): StepPoints => {
  const defaultDeadlineMs = options.deadlineMs ?? 5_000
  const passed: Array<string> = []
  const pending = new Set<Pending>()

  const register = <A>(
    position: Position,
    name: string,
    run: () => A | PromiseLike<A>,
    { nth = 1, deadlineMs = defaultDeadlineMs }: InjectionOptions = {}
  ): Injection<A> => {
    const done = settler<A>()
    const giveUp = (why: string) => {
      clearTimeout(timer)
      pending.delete(entry)
      done.reject(new StepNotReached(name, nth, [...passed], why))
    }
    const timer = setTimeout(() => giveUp(`within ${deadlineMs} ms`), deadlineMs)
    const inject = async () => {
      clearTimeout(timer)
      pending.delete(entry)
      const running = (async () => run())()
      try {
        done.resolve(await withDeadline(running, deadlineMs, () => new InjectionTimedOut(name, deadlineMs)))
      } catch (error) {
        done.reject(error)
      }
    }
    const entry: Pending = { name, position, remaining: nth, inject, giveUp }
    pending.add(entry)
    return { done: done.promise }
  }

  /** Runs what is due at this passing, one after the other in order of registration. */
  const runDue = async (due: ReadonlyArray<Pending>, position: Position) => {
    for (const entry of due) if (entry.position === position) await entry.inject()
  }

  const step = async <A>(name: string, body: () => A | PromiseLike<A>): Promise<A> => {
    passed.push(name)
    const due = [...pending].filter((entry) => entry.name === name && --entry.remaining === 0)
    for (const entry of due) if (entry.position === "alongside") void entry.inject()
    await runDue(due, "before")
    try {
      return await body()
    } finally {
      await runDue(due, "after")
    }
  }

  return {
    reached: (name) => step(name, () => {}),
    step,
    before: (name, run, injection) => register("before", name, run, injection),
    after: (name, run, injection) => register("after", name, run, injection),
    alongside: (name, run, injection) => register("alongside", name, run, injection),
    passed,
    close: () => {
      for (const entry of pending) entry.giveUp("before the steps were closed")
    }
  }
}
