import { Latencies } from "./latencies.ts"
import { plotLoad } from "./plot.ts"
import type { LoadInterval, LoadReport, LoadSettings } from "./report.ts"

interface IntervalCounts {
  succeeded: number
  failed: number
  readonly latencies: Latencies
}

/** A fixed maximum, so that memory does not grow with the duration of the run. */
const intervalCount = 100
const shortestIntervalMs = 50

/** Records calls in constant memory. */
export class LoadRecorder {
  readonly #settings: LoadSettings
  readonly #intervalMs: number
  readonly #latency = new Latencies()
  readonly #service = new Latencies()
  readonly #startDelay = new Latencies()
  readonly #failures = new Map<string, number>()
  readonly #intervals: Array<IntervalCounts> = []
  #intended = 0
  #succeeded = 0
  #failed = 0
  #unfinished = 0

  constructor(settings: LoadSettings) {
    this.#settings = settings
    this.#intervalMs = Math.max(shortestIntervalMs, Math.ceil(settings.durationMs / intervalCount))
  }

  started(intendedMs: number, startedMs: number): void {
    this.#intended += 1
    this.#startDelay.recordMs(startedMs - intendedMs)
  }

  ended(intendedMs: number, startedMs: number, endedMs: number, failure: string | undefined): void {
    this.#service.recordMs(endedMs - startedMs)
    this.#note(intendedMs, endedMs, failure === undefined)
    if (failure === undefined) this.#succeeded += 1
    else {
      this.#failed += 1
      this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1)
    }
  }

  /** An unfinished call has waited at least until now; omitting it would flatter the figures. */
  gaveUp(intendedMs: number, startedMs: number | undefined, nowMs: number): void {
    this.#unfinished += 1
    if (startedMs === undefined) this.started(intendedMs, nowMs)
    else this.#service.recordMs(nowMs - startedMs)
    this.#note(intendedMs, nowMs, false)
  }

  report(elapsedMs: number, peakInFlight: number): LoadReport {
    const completed = this.#succeeded + this.#failed
    const figures = {
      ...this.#settings,
      calls: {
        intended: this.#intended,
        succeeded: this.#succeeded,
        failed: this.#failed,
        unfinished: this.#unfinished
      },
      completedPerSecond: (completed * 1_000) / Math.max(elapsedMs, 1),
      peakInFlight,
      latency: this.#latency.summary(),
      service: this.#service.summary(),
      startDelay: this.#startDelay.summary(),
      failures: Object.fromEntries(this.#failures),
      intervals: this.#intervals.map((interval, index) => this.#summarise(interval, index)),
      latencyCurve: this.#latency.curve(),
      serviceCurve: this.#service.curve()
    }
    return { ...figures, toSvg: (title = "Load") => plotLoad(title, figures) }
  }

  #note(intendedMs: number, endedMs: number, succeeded: boolean): void {
    const index = Math.floor(intendedMs / this.#intervalMs)
    for (let missing = this.#intervals.length; missing <= index; missing += 1)
      this.#intervals.push({ succeeded: 0, failed: 0, latencies: new Latencies(2) })
    const interval = this.#intervals[index]
    if (interval === undefined) throw new RangeError(`no interval for a call at ${intendedMs} ms`)
    if (succeeded) interval.succeeded += 1
    else interval.failed += 1
    interval.latencies.recordMs(endedMs - intendedMs)
    this.#latency.recordMs(endedMs - intendedMs)
  }

  #summarise({ succeeded, failed, latencies }: IntervalCounts, index: number): LoadInterval {
    const { p50, p99, max } = latencies.summary()
    return { fromMs: index * this.#intervalMs, succeeded, failed, p50, p99, max }
  }
}
