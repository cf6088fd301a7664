import type { ArrivalKind } from "./arrivals.ts"
import type { LatencySummary, PercentilePoint } from "./latencies.ts"

/** One interval of a run. A call belongs to the interval of its intended start. Latencies are milliseconds. */
export interface LoadInterval {
  readonly fromMs: number
  readonly succeeded: number
  /** Calls that failed or never ended. */
  readonly failed: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** What a run was asked to do. */
export interface LoadSettings {
  readonly ratePerSecond: number
  readonly durationMs: number
  readonly arrivals: ArrivalKind
  readonly maxInFlight: number
}

/** The figures of a run, as plain data. Durations are milliseconds. */
export interface LoadFigures extends LoadSettings {
  readonly calls: {
    readonly intended: number
    readonly succeeded: number
    readonly failed: number
    /** Calls that had not started or not ended at the end of the run. Their latency so far is counted. */
    readonly unfinished: number
  }
  /** Calls that ended, divided by the duration of the run including the drain. */
  readonly completedPerSecond: number
  readonly peakInFlight: number
  /** Latency from the intended start: what a user would have waited. */
  readonly latency: LatencySummary
  /** Latency from the actual start: what a closed loop would have measured. */
  readonly service: LatencySummary
  /** Delay of the actual starts, from the limit `maxInFlight` or the load generator itself. */
  readonly startDelay: LatencySummary
  /** Failures by tag, code or name. */
  readonly failures: Readonly<Record<string, number>>
  readonly intervals: ReadonlyArray<LoadInterval>
  readonly latencyCurve: ReadonlyArray<PercentilePoint>
  readonly serviceCurve: ReadonlyArray<PercentilePoint>
}

/** The figures of a run, and their plot. `JSON.stringify` yields the figures alone. */
export interface LoadReport extends LoadFigures {
  /** A self-contained SVG document: latency over time and by percentile. */
  toSvg(title?: string): string
}
