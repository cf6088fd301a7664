import type { build, Histogram } from "hdr-histogram-js"

let buildHistogram: typeof build | undefined

/** Loads the histograms, which takes longer than all the rest of the testkit. */
export async function loadHistograms(): Promise<void> {
  buildHistogram ??= (await import("hdr-histogram-js")).build
}

/** Latencies in milliseconds. `p999` is the 99.9th percentile. */
export interface LatencySummary {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** One point of a percentile curve. */
export interface PercentilePoint {
  /** From 0 to 100. */
  readonly percentile: number
  readonly ms: number
}

/** Ten points per decade of "nines", enough to draw the curve on a logarithmic axis. */
const curvePercentiles = Array.from({ length: 41 }, (_, step) => 100 * (1 - 10 ** (-step / 10)))

const microsecondsPerMs = 1_000
const highestMicroseconds = 3_600_000_000

/**
 * Latencies in an HdrHistogram (Gil Tene): constant memory, whole microseconds up to an hour.
 */
export class Latencies {
  readonly #histogram: Histogram

  /**
   * {@link loadHistograms} comes first.
   *
   * @param digits significant decimal digits
   */
  constructor(digits: 2 | 3 = 3) {
    if (buildHistogram === undefined) throw new Error("the histograms are not loaded")
    this.#histogram = buildHistogram({
      bitBucketSize: 32,
      lowestDiscernibleValue: 1,
      highestTrackableValue: highestMicroseconds,
      numberOfSignificantValueDigits: digits
    })
  }

  recordMs(ms: number): void {
    const microseconds = Math.round(ms * microsecondsPerMs)
    this.#histogram.recordValue(Math.min(Math.max(microseconds, 0), highestMicroseconds))
  }

  atPercentileMs(percentile: number): number {
    return this.#histogram.totalCount === 0
      ? 0
      : Math.min(this.#histogram.getValueAtPercentile(percentile), this.#histogram.maxValue) /
          microsecondsPerMs
  }

  summary(): LatencySummary {
    return {
      count: this.#histogram.totalCount,
      mean: this.#histogram.totalCount === 0 ? 0 : this.#histogram.mean / microsecondsPerMs,
      p50: this.atPercentileMs(50),
      p90: this.atPercentileMs(90),
      p99: this.atPercentileMs(99),
      p999: this.atPercentileMs(99.9),
      max: this.atPercentileMs(100)
    }
  }

  curve(): ReadonlyArray<PercentilePoint> {
    const points = curvePercentiles.map((percentile) => ({ percentile, ms: this.atPercentileMs(percentile) }))
    // Beyond the last single call, the curve only repeats the maximum.
    return points.filter(({ percentile }) => (1 - percentile / 100) * this.#histogram.totalCount >= 0.999)
  }
}
