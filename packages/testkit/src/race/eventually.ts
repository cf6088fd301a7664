import { assertOptions } from "../internal/options.ts"
import { pause, withDeadline } from "../internal/promises.ts"

/** How long and how often to try. */
export interface EventuallyOptions {
  /** Default 5,000. */
  readonly timeoutMs?: number
  /** Pause between two attempts. Default 10. */
  readonly everyMs?: number
}

/** The condition did not hold before the deadline. `cause` is the error of the last attempt. */
export class EventuallyFailed extends Error {
  readonly _tag = "EventuallyFailed"
  readonly attempts: number
  readonly timeoutMs: number

  constructor(attempts: number, timeoutMs: number, last: unknown) {
    const why = last instanceof Error ? last.message : String(last)
    super(`not true within ${timeoutMs} ms (${attempts} attempts); last: ${why}`, { cause: last })
    this.name = "EventuallyFailed"
    this.attempts = attempts
    this.timeoutMs = timeoutMs
  }
}

/**
 * Calls `fn` until it neither throws nor returns `false`, and returns its result. The deadline also ends an attempt that
 * hangs, and aborts the signal that `fn` receives.
 *
 * @throws EventuallyFailed with the last failure as its cause
 */
export const eventually = async <A>(
  fn: (signal: AbortSignal) => A | PromiseLike<A>,
  options: EventuallyOptions = {}
): Promise<A> => {
  assertOptions("eventually", options, { timeoutMs: true, everyMs: true })
  const timeoutMs = options.timeoutMs ?? 5_000
  const endsAt = performance.now() + timeoutMs
  const controller = new AbortController()
  let last: unknown = new Error("no attempt finished")
  let attempts = 0
  for (;;) {
    attempts += 1
    try {
      const leftMs = Math.max(1, endsAt - performance.now())
      const hung = () => new Error("the attempt was still running at the deadline", { cause: last })
      const answer = await withDeadline(attempt(fn, controller.signal), leftMs, hung)
      if (answer !== false) return answer
      last = new Error("it answered false")
    } catch (error) {
      last = error
    }
    if (performance.now() >= endsAt) {
      const failure = new EventuallyFailed(attempts, timeoutMs, last)
      controller.abort(failure)
      throw failure
    }
    await pause(Math.min(options.everyMs ?? 10, Math.max(1, endsAt - performance.now())))
  }
}

/** Turns a synchronous throw into a rejection. */
const attempt = async <A>(fn: (signal: AbortSignal) => A | PromiseLike<A>, signal: AbortSignal): Promise<A> =>
  fn(signal)
