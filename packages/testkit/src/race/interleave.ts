import { assertOptions } from "../internal/options.ts"
import { withDeadline } from "../internal/promises.ts"
import { type Injection, InjectionTimedOut, StepNotReached, stepPoints, type StepPoints } from "./steps.ts"

type Injected = Readonly<Record<string, () => unknown>>

/** The code to run at the steps of `main`, by step name. */
export interface InterleaveOptions {
  /** Holds `main` at the step until the code has ended, then lets it take the step. */
  readonly before?: Injected
  /** Lets `main` take the step, then holds it until the code has ended. */
  readonly after?: Injected
  /** Starts the code at the step without holding `main`. Both are awaited at the end. */
  readonly alongside?: Injected
  /** Time for each step to be reached and for each injected call to end. Default 5,000. */
  readonly stepTimeoutMs?: number
  /** Time for `main` to end. Default 30,000. */
  readonly timeoutMs?: number
}

/** `main` did not end in time, whatever the injected code did. */
export class InterleaveTimedOut extends Error {
  readonly _tag = "InterleaveTimedOut"
  readonly passed: ReadonlyArray<string>

  constructor(timeoutMs: number, passed: ReadonlyArray<string>) {
    super(`main did not end within ${timeoutMs} ms; steps passed: ${passed.join(", ") || "none"}`)
    this.name = "InterleaveTimedOut"
    this.passed = passed
  }
}

/** The outcomes of both sides. */
export interface Interleaved<A> {
  readonly main: PromiseSettledResult<A>
  /** The results of the injected calls, by step name. */
  readonly injected: Readonly<Record<string, PromiseSettledResult<unknown>>>
  /** The steps, in the order in which they were passed. */
  readonly passed: ReadonlyArray<string>
}

/**
 * Runs `main` and injects other code at its named steps: one exact interleaving, the same every time. Errors of both
 * sides are results (`main`, `injected`), because tests expect some of them.
 *
 * @throws StepNotReached when `main` ended without passing a named step
 * @throws InjectionTimedOut when injected code hung
 * @throws InterleaveTimedOut when `main` hung
 */
export const interleave = async <A>(
  main: (steps: StepPoints) => A | PromiseLike<A>,
  options: InterleaveOptions
): Promise<Interleaved<A>> => {
  const places = { before: true, after: true, alongside: true } as const
  assertOptions("interleave", options, { ...places, stepTimeoutMs: true, timeoutMs: true })
  const steps = stepPoints(options.stepTimeoutMs === undefined ? {} : { timeoutMs: options.stepTimeoutMs })
  const injections = new Map<string, Injection<unknown>>()
  for (const position of ["before", "after", "alongside"] as const)
    for (const [name, run] of Object.entries(options[position] ?? {})) {
      if (injections.has(name))
        throw new Error(`step "${name}" is named twice; register it with stepPoints()`)
      injections.set(name, steps[position](name, run))
    }

  const timeoutMs = options.timeoutMs ?? 30_000
  const running = (async () => main(steps))()
  const hung = () => new InterleaveTimedOut(timeoutMs, [...steps.passed])
  const [mainResult] = await Promise.allSettled([withDeadline(running, timeoutMs, hung)])
  steps.close()
  if (mainResult.status === "rejected" && mainResult.reason instanceof InterleaveTimedOut)
    throw mainResult.reason
  const names = [...injections.keys()]
  const results = await Promise.allSettled([...injections.values()].map((injection) => injection.done))
  const harnessFailure = results.find(
    (result) => result.status === "rejected" && isHarnessError(result.reason)
  )
  if (harnessFailure?.status === "rejected") throw harnessFailure.reason
  return {
    main: mainResult,
    injected: Object.fromEntries(names.map((name, index) => [name, results[index]!])),
    passed: steps.passed
  }
}

const isHarnessError = (error: unknown): boolean =>
  error instanceof StepNotReached || error instanceof InjectionTimedOut
