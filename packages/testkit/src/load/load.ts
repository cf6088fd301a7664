import { settler } from "../race/deadline.ts"
import { tagOf } from "../race/outcome.ts"
import { type ArrivalKind, arrivals } from "./arrivals.ts"
import { LoadRecorder, type LoadReport } from "./report.ts"

export interface LoadCall {
  readonly index: number
  /** When the call was meant to start, from the beginning of the run. */
  readonly intendedMs: number
  /** Aborted when the run is given up. */
  readonly signal: AbortSignal
}

export interface LoadOptions {
  /** Calls a second, whether or not the earlier ones have ended. */
  readonly rate: number
  readonly durationMs: number
  readonly fn: (call: LoadCall) => unknown
  /**
   * Calls under way at once; 1,000 unless told. A call that finds no place waits for one; its wait counts, for its
   * latency is measured from the instant at which it was meant to start.
   */
  readonly maxInFlight?: number
  /** "constant" unless told. */
  readonly arrivals?: ArrivalKind
  /** For "poisson"; 1 unless told. */
  readonly seed?: number | string
  /** How long to wait for stragglers after `durationMs`; 10 s unless told. */
  readonly drainMs?: number
}

interface UnderWay {
  readonly intendedMs: number
  readonly startedMs: number
}

/**
 * Open-loop load: calls start at their times however slow the earlier ones are, as users do, and latency counts from
 * the intended start. A closed loop would wait with the server through each stall and so leave out the very calls
 * that suffer from it ("coordinated omission", Gil Tene).
 *
 * @returns the figures; failures of `fn` are counted, never thrown.
 */
export const load = async (options: LoadOptions): Promise<LoadReport> => {
  const { rate, durationMs, fn, maxInFlight = 1_000, drainMs = 10_000, seed = 1 } = options
  if (!(rate > 0 && durationMs > 0 && maxInFlight >= 1) || !Number.isFinite(rate * durationMs))
    throw new RangeError("load needs a finite rate and durationMs above 0, and a maxInFlight of 1 or more")
  const kind = options.arrivals ?? "constant"
  const recorder = new LoadRecorder({ ratePerSecond: rate, durationMs, arrivals: kind, maxInFlight })
  const schedule = arrivals(kind, rate, durationMs, seed)
  const underWay = new Set<UnderWay>()
  const controller = new AbortController()
  const finished = settler<void>()
  const startedAt = performance.now()
  const nowMs = () => performance.now() - startedAt
  let nextMs = schedule.next().value
  let index = 0
  let peakInFlight = 0
  let isOver = false
  let timer: NodeJS.Timeout | undefined

  /** Starts what is due and has a place, and sets the clock for the next call. */
  const startDue = () => {
    clearTimeout(timer)
    while (nextMs !== undefined && underWay.size < maxInFlight && nowMs() >= nextMs) {
      void runCall(nextMs)
      nextMs = schedule.next().value
    }
    if (nextMs === undefined && underWay.size === 0) finished.resolve()
    // With all places taken, the end of a call goes on from here.
    else if (nextMs !== undefined && underWay.size < maxInFlight)
      timer = setTimeout(startDue, Math.max(0, nextMs - nowMs()))
  }

  const runCall = async (intendedMs: number) => {
    const call = { intendedMs, startedMs: nowMs() }
    underWay.add(call)
    peakInFlight = Math.max(peakInFlight, underWay.size)
    recorder.started(intendedMs, call.startedMs)
    const failure = await failureOf(() => fn({ index: index++, intendedMs, signal: controller.signal }))
    if (isOver) return
    recorder.ended(intendedMs, call.startedMs, nowMs(), failure)
    underWay.delete(call)
    if (underWay.size === maxInFlight - 1 || underWay.size === 0) startDue()
  }

  startDue()
  const giveUp = setTimeout(finished.resolve, durationMs + drainMs)
  await finished.promise
  isOver = true
  clearTimeout(timer)
  clearTimeout(giveUp)
  const elapsedMs = nowMs()
  for (const { intendedMs, startedMs } of underWay) recorder.gaveUp(intendedMs, startedMs, elapsedMs)
  for (; nextMs !== undefined; nextMs = schedule.next().value) recorder.gaveUp(nextMs, undefined, elapsedMs)
  controller.abort(new Error("the load run is over"))
  return recorder.report(elapsedMs, peakInFlight)
}

/** How the call failed, in the words under which failures are counted; undefined when it did not. */
const failureOf = async (call: () => unknown): Promise<string | undefined> => {
  try {
    await call()
    return undefined
  } catch (reason) {
    return tagOf({ status: "rejected", caller: 0, durationMs: 0, reason })
  }
}
