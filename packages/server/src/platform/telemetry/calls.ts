/** The bounds of the buckets of all durations. */
const BOUNDARIES_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]

interface Counts {
  readonly outcomes: Map<string, number>
  /** How many calls took at most as long as each boundary, and no less than the one before it. */
  readonly buckets: Array<number>
  totalMs: number
}

const countsOf = new Map<string, Counts>()
let shed = 0

/**
 * Counts an answered call in plain numbers, which cost next to nothing: every call of the process passes here. They become
 * text when somebody asks.
 *
 * @param outcome `ok`, the tag of a declared error, `interrupted`, or `died`
 */
export const countCall = (procedure: string, outcome: string, tookMs: number): void => {
  let counts = countsOf.get(procedure)
  if (counts === undefined) {
    counts = { outcomes: new Map(), buckets: BOUNDARIES_MS.map(() => 0), totalMs: 0 }
    countsOf.set(procedure, counts)
  }
  counts.outcomes.set(outcome, (counts.outcomes.get(outcome) ?? 0) + 1)
  counts.totalMs += tookMs
  const at = BOUNDARIES_MS.findIndex((boundaryMs) => tookMs <= boundaryMs)
  if (at !== -1) counts.buckets[at]! += 1
}

/** Counts a request that was shed. */
export const countShed = (): void => void (shed += 1)

/** What was counted, in the text format of Prometheus. */
export const callMetrics = (): string => {
  const totals: Array<string> = []
  const durations: Array<string> = []
  for (const [procedure, { buckets, outcomes, totalMs }] of countsOf) {
    let calls = 0
    for (const [outcome, count] of outcomes) {
      calls += count
      totals.push(`holdfast_calls_total{procedure="${procedure}",outcome="${outcome}"} ${count}`)
    }
    let below = 0
    for (const [at, boundaryMs] of BOUNDARIES_MS.entries()) {
      below += buckets[at]!
      durations.push(`holdfast_call_ms_bucket{procedure="${procedure}",le="${boundaryMs}"} ${below}`)
    }
    durations.push(
      `holdfast_call_ms_bucket{procedure="${procedure}",le="+Inf"} ${calls}`,
      `holdfast_call_ms_sum{procedure="${procedure}"} ${totalMs}`,
      `holdfast_call_ms_count{procedure="${procedure}"} ${calls}`
    )
  }
  return [
    "# HELP holdfast_calls_total Answered calls, by procedure and outcome: ok, a declared error, interrupted or died",
    "# TYPE holdfast_calls_total counter",
    ...totals,
    "# HELP holdfast_call_ms From the arrival of a call to its answer",
    "# TYPE holdfast_call_ms histogram",
    ...durations,
    "# HELP holdfast_requests_shed_total Requests that were refused because the process was busy",
    "# TYPE holdfast_requests_shed_total counter",
    `holdfast_requests_shed_total ${shed}`,
    ""
  ].join("\n")
}
