import { assertOptions, type OptionNames } from "../internal/options.ts"
import { settler } from "../internal/promises.ts"
import { tagOf } from "../race/outcome.ts"
import { type ArrivalKind, arrivals } from "./arrivals.ts"
import { loadHistograms } from "./latencies.ts"
import { LoadRecorder } from "./recorder.ts"
import type { LoadReport } from "./report.ts"

/** What one call of a load run is given. */
export interface LoadCall {
  /** The number of the call, from 0. */
  readonly index: number
  /** The intended start, in milliseconds from the beginning of the run. */
  readonly intendedMs: number
  /** Aborted when the run ends, while this call is still running. */
  readonly signal: AbortSignal
}

/** What to call, how often and for how long. */
export interface LoadOptions {
  /** Calls per second, whether or not earlier calls have ended. */
  readonly rate: number
  readonly durationMs: number
  /** The call to measure. May return a promise. */
  readonly fn: (call: LoadCall) => unknown
  /**
   * Maximum number of concurrent calls. Default 1,000. Further calls wait, and the wait is part of their latency, which
   * counts from the intended start.
   */
  readonly maxInFlight?: number
  /** Default "constant". */
  readonly arrivals?: ArrivalKind
  /** Seed of "poisson" arrivals. Default 1. */
  readonly seed?: number | string
  /** How long to wait for unfinished calls after `durationMs`. Default 10,000. */
  readonly drainMs?: number
}

const names: OptionNames<LoadOptions> = {
  rate: true,
  durationMs: true,
  fn: true,
  maxInFlight: true,
  arrivals: true,
  seed: true,
  drainMs: true
}

interface InFlight {
  readonly intendedMs: number
  readonly startedMs: number
}

/**
 * Open-loop load: like users, calls start at their time however slow earlier calls are, and latency counts from the
 * intended start. A closed loop pauses with the server during a stall and omits the calls that would suffer from it
 * ("coordinated omission", Gil Tene).
 *
 * @returns the figures; failures of `fn` are counted, never thrown
 * @throws RangeError for a rate, duration or `maxInFlight` that is not positive
 */
export const load = async (options: LoadOptions): Promise<LoadReport> => {
  assertOptions("load", options, names)
  const { rate, durationMs, fn, maxInFlight = 1_000, drainMs = 10_000, seed = 1 } = options
  if (!(rate > 0 && durationMs > 0 && maxInFlight >= 1) || !Number.isFinite(rate * durationMs))
    throw new RangeError("load needs a finite rate and durationMs above 0, and a maxInFlight of 1 or more")
  const kind = options.arrivals ?? "constant"
  await loadHistograms()
  const recorder = new LoadRecorder({ ratePerSecond: rate, durationMs, arrivals: kind, maxInFlight })
  const schedule = arrivals(kind, rate, durationMs, seed)
  const inFlight = new Set<InFlight>()
  const controller = new AbortController()
  const finished = settler<void>()
  const startedAt = performance.now()
  const nowMs = () => performance.now() - startedAt
  let nextMs = schedule.next().value
  let index = 0
  let peakInFlight = 0
  let isOver = false
  let timer: NodeJS.Timeout | undefined

  /** Starts all calls that are due, up to `maxInFlight`, and sets the timer for the next one. */
  const startDue = () => {
    clearTimeout(timer)
    while (nextMs !== undefined && inFlight.size < maxInFlight && nowMs() >= nextMs) {
      void runCall(nextMs)
      nextMs = schedule.next().value
    }
    if (nextMs === undefined && inFlight.size === 0) finished.resolve()
    // At `maxInFlight`, the next call that ends continues here.
    else if (nextMs !== undefined && inFlight.size < maxInFlight)
      timer = setTimeout(startDue, Math.max(0, nextMs - nowMs()))
  }

  const runCall = async (intendedMs: number) => {
    const call = { intendedMs, startedMs: nowMs() }
    inFlight.add(call)
    peakInFlight = Math.max(peakInFlight, inFlight.size)
    recorder.started(intendedMs, call.startedMs)
    const failure = await failureOf(() => fn({ index: index++, intendedMs, signal: controller.signal }))
    if (isOver) return
    recorder.ended(intendedMs, call.startedMs, nowMs(), failure)
    inFlight.delete(call)
    if (inFlight.size === maxInFlight - 1 || inFlight.size === 0) startDue()
  }

  startDue()
  const giveUp = setTimeout(finished.resolve, durationMs + drainMs)
  await finished.promise
  isOver = true
  clearTimeout(timer)
  clearTimeout(giveUp)
  const elapsedMs = nowMs()
  for (const { intendedMs, startedMs } of inFlight) recorder.gaveUp(intendedMs, startedMs, elapsedMs)
  for (; nextMs !== undefined; nextMs = schedule.next().value) recorder.gaveUp(nextMs, undefined, elapsedMs)
  controller.abort(new Error("the load run is over"))
  return recorder.report(elapsedMs, peakInFlight)
}

/** The tag under which a failure is counted; undefined when the call succeeded. */
const failureOf = async (call: () => unknown): Promise<string | undefined> => {
  try {
    await call()
    return undefined
  } catch (reason) {
    return tagOf({ status: "rejected", caller: 0, durationMs: 0, reason })
  }
}
