import type { TestContext } from "vitest"
import { race, type RaceOptions, type RaceResult, type Caller } from "../race/race.ts"

/**
 * `race` for one test. It times out before the test does, so that the failure names the callers that hang, and ends
 * when the test is aborted, so that no caller outlives it.
 */
export type BoundRace = <A>(
  callers: number,
  fn: (index: number, caller: Caller) => A | PromiseLike<A>,
  options?: RaceOptions<A>
) => Promise<RaceResult<A>>

const DEFAULT_TIMEOUT_MS = 30_000

/** The share of the test's timeout that a race may take. */
const SHARE_OF_TEST = 0.8

export const boundRace = ({ task, signal }: Pick<TestContext, "task" | "signal">): BoundRace => {
  const timeoutMs = Math.min(DEFAULT_TIMEOUT_MS, (task.timeout || Infinity) * SHARE_OF_TEST)
  return (callers, fn, options = {}) => {
    const signals = options.signal === undefined ? [signal] : [signal, options.signal]
    return race(callers, fn, { timeoutMs, ...options, signal: AbortSignal.any(signals) })
  }
}
