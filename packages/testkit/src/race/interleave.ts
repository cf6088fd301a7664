import { withDeadline } from "./deadline.ts"
import { type Injection, InjectionTimedOut, StepNotReached, stepPoints, type StepPoints } from "./steps.ts"

type Injected = Readonly<Record<string, () => unknown>>

export interface InterleaveOptions {
  /** Code of the other side by step name: `main` is held at the step until it has ended, then takes the step. */
  readonly before?: Injected
  /** `main` takes the step and is then held until the code has ended. */
  readonly after?: Injected
  /** Started at the step; `main` goes on at once. Both are waited for at the end. */
  readonly alongside?: Injected
  /** For each step to be reached and for each injected call to end; 5 s unless told. */
  readonly deadlineMs?: number
  /** For `main` to end; 30 s unless told. */
  readonly timeoutMs?: number
}

/** `main` hung: nothing that the other side did made it go on. */
export class InterleaveTimedOut extends Error {
  readonly _tag = "InterleaveTimedOut"
  readonly passed: ReadonlyArray<string>

  constructor(timeoutMs: number, passed: ReadonlyArray<string>) {
    super(`main did not end within ${timeoutMs} ms; steps passed: ${passed.join(", ") || "none"}`)
    this.name = "InterleaveTimedOut"
    this.passed = passed
  }
}

export interface Interleaved<A> {
  readonly main: PromiseSettledResult<A>
  /** What the injected calls answered, by step name. */
  readonly injected: Readonly<Record<string, PromiseSettledResult<unknown>>>
  /** The steps in the order in which they were passed. */
  readonly passed: ReadonlyArray<string>
}

/**
 * Runs `main` and, at its named steps, code of another side: one exact interleaving, the same each time.
 * The errors of both sides are outcomes (`main`, `injected`), for a test expects some of them.
 *
 * @throws StepNotReached when `main` ended without passing a named step; InjectionTimedOut when injected code hung;
 *   InterleaveTimedOut when `main` hung.
 */
export const interleave = async <A>(
  main: (steps: StepPoints) => A | PromiseLike<A>,
  options: InterleaveOptions
): Promise<Interleaved<A>> => {
  const steps = stepPoints(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs })
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
