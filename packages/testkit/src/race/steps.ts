import { assertOptions } from "../internal/options.ts"
import { settler, withDeadline } from "../internal/promises.ts"

/** A step with registered code was not reached before its deadline, or before the points were closed. */
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

/** The injected code did not end in time; the side that was held continued without it. */
export class InjectionTimedOut extends Error {
  readonly _tag = "InjectionTimedOut"
  readonly step: string
  readonly timeoutMs: number

  constructor(step: string, timeoutMs: number) {
    super(
      `the code injected at step "${step}" did not end within ${timeoutMs} ms;` +
        ` it may wait for a lock of the side that is held there (then use \`alongside\`)`
    )
    this.name = "InjectionTimedOut"
    this.step = step
    this.timeoutMs = timeoutMs
  }
}

/** When to run injected code. */
export interface InjectionOptions {
  /** Run when the step is passed for the nth time. Default 1. */
  readonly nth?: number
  /** Time for the step to be reached, and again for the code to end. Default: the deadline of the points. */
  readonly timeoutMs?: number
}

/** Code registered for a step. */
export interface Injection<A> {
  /** The result of the code. Rejects with its error, `StepNotReached` or `InjectionTimedOut`. */
  readonly done: Promise<A>
}

/** Named points in the code under test, and the code to run at them. */
export interface StepPoints {
  /** Called by the code under test at the step. Resolves at once unless code is registered for it. */
  readonly reached: (name: string) => Promise<void>
  /** A step with a body: code registered with `before` runs before it, code registered with `after` runs after it. */
  step<A>(name: string, body: () => A | PromiseLike<A>): Promise<A>
  /** Holds the code under test at the step until `run` has ended, then lets it take the step. */
  before<A>(name: string, run: () => A | PromiseLike<A>, options?: InjectionOptions): Injection<A>
  /** Lets the code under test take the step, then holds it until `run` has ended. */
  after<A>(name: string, run: () => A | PromiseLike<A>, options?: InjectionOptions): Injection<A>
  /** Starts `run` at the step without holding the code under test; for code that must block. */
  alongside<A>(name: string, run: () => A | PromiseLike<A>, options?: InjectionOptions): Injection<A>
  /** The steps passed so far, in order. */
  readonly passed: ReadonlyArray<string>
  /** Rejects all injections whose step was not reached. */
  close(): void
}

type Position = "before" | "after" | "alongside"

interface Pending {
  readonly name: string
  readonly position: Position
  remaining: number
  /** Runs the injected code; resolves when the code under test may continue. Never rejects. */
  readonly inject: () => Promise<void>
  readonly giveUp: (why: string) => void
}

/**
 * Named points in the code under test at which a test runs its own code, without sleeps and mocks. The code under test
 * takes a hook: `onFailpoint: (name) => steps.reached(name)`.
 */
export const stepPoints = (options: { readonly timeoutMs?: number } = {}): StepPoints => {
  assertOptions("stepPoints", options, { timeoutMs: true })
  const points = new InjectedSteps(options.timeoutMs ?? 5_000)
  return {
    reached: (name) => points.step(name, () => {}),
    step: (name, body) => points.step(name, body),
    before: (name, run, injection) => points.register("before", name, run, injection),
    after: (name, run, injection) => points.register("after", name, run, injection),
    alongside: (name, run, injection) => points.register("alongside", name, run, injection),
    passed: points.passed,
    close: () => points.close()
  }
}

class InjectedSteps {
  readonly passed: Array<string> = []
  readonly #pending = new Set<Pending>()
  readonly #timeoutMs: number

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  register<A>(
    position: Position,
    name: string,
    run: () => A | PromiseLike<A>,
    { nth = 1, timeoutMs = this.#timeoutMs }: InjectionOptions = {}
  ): Injection<A> {
    const done = settler<A>()
    const giveUp = (why: string) => {
      clearTimeout(timer)
      this.#pending.delete(entry)
      done.reject(new StepNotReached(name, nth, [...this.passed], why))
    }
    const timer = setTimeout(() => giveUp(`within ${timeoutMs} ms`), timeoutMs)
    const inject = async () => {
      clearTimeout(timer)
      this.#pending.delete(entry)
      const running = (async () => run())()
      try {
        done.resolve(await withDeadline(running, timeoutMs, () => new InjectionTimedOut(name, timeoutMs)))
      } catch (error) {
        done.reject(error)
      }
    }
    const entry: Pending = { name, position, remaining: nth, inject, giveUp }
    this.#pending.add(entry)
    return { done: done.promise }
  }

  async step<A>(name: string, body: () => A | PromiseLike<A>): Promise<A> {
    this.passed.push(name)
    const due = [...this.#pending].filter((entry) => entry.name === name && --entry.remaining === 0)
    for (const entry of due) if (entry.position === "alongside") void entry.inject()
    await runDue(due, "before")
    try {
      return await body()
    } finally {
      await runDue(due, "after")
    }
  }

  close(): void {
    for (const entry of this.#pending) entry.giveUp("before the steps were closed")
  }
}

/** Runs the due code one after the other, in order of registration. */
const runDue = async (due: ReadonlyArray<Pending>, position: Position) => {
  for (const entry of due) if (entry.position === position) await entry.inject()
}
