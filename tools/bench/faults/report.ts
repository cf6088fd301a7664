import { availableParallelism } from "node:os"
import { median, percentile } from "../statistics.ts"
import { textTable } from "../text-table.ts"
import { MEMORY_WATCH_MINUTES } from "./deadlines.ts"
import { type Finding, findingText } from "./findings.ts"
import type { CallOutcome } from "./load.ts"
import type { MemoryTrend } from "./memory.ts"

/** One fault of a run, as it went. Times are milliseconds; `atMs` counts from the start of the run. */
export interface Phase {
  readonly fault: string
  readonly atMs: number
  readonly lastedMs: number
  /** `undefined` when the service was not whole again before it was given up and restarted. */
  readonly recoveryMs: number | undefined
}

interface Call {
  readonly kind: string
  readonly tookMs: number
  readonly outcome: CallOutcome
}

/** Everything that a run measured. */
export interface SoakReport {
  readonly ok: boolean
  readonly seed: number
  readonly minutes: number
  readonly rate: number
  /** How long the load generator's own event loop was late. On a busy machine its times are too long by that. */
  readonly ownDelayMs: { readonly p99: number; readonly worst: number }
  /** Calls that were left out because too many of their kind were in flight. */
  readonly leftOut: number
  /** Of the last minute of the run. */
  readonly loadAverage: number
  readonly faults: ReadonlyArray<FaultSummary>
  readonly calls: ReadonlyArray<CallSummary>
  readonly memory: ReadonlyArray<MemoryTrend>
  readonly phases: ReadonlyArray<Phase>
  readonly findings: ReadonlyArray<Finding>
  readonly logDirectory: string
}

interface FaultSummary {
  readonly fault: string
  readonly times: number
  readonly recoveryMedianMs: number | null
  readonly recoveryWorstMs: number | null
  readonly neverRecovered: number
  readonly findings: number
}

interface CallSummary extends Readonly<Record<CallOutcome, number>> {
  readonly kind: string
  readonly medianMs: number
  readonly p99Ms: number
  readonly worstMs: number
}

export const summariseFaults = (
  phases: ReadonlyArray<Phase>,
  findings: ReadonlyArray<Finding>
): ReadonlyArray<FaultSummary> =>
  [...Map.groupBy(phases, ({ fault }) => fault)].map(([fault, ofFault]) => {
    const recoveries = ofFault.flatMap(({ recoveryMs }) => (recoveryMs === undefined ? [] : [recoveryMs]))
    return {
      fault,
      times: ofFault.length,
      recoveryMedianMs: recoveries.length === 0 ? null : median(recoveries),
      recoveryWorstMs: recoveries.length === 0 ? null : Math.max(...recoveries),
      neverRecovered: ofFault.length - recoveries.length,
      findings: findings.filter((finding) => finding.fault === fault).length
    }
  })

export const summariseCalls = (calls: ReadonlyArray<Call>): ReadonlyArray<CallSummary> =>
  [...Map.groupBy(calls, ({ kind }) => kind)].map(([kind, ofKind]) => {
    const count = (outcome: CallOutcome) => ofKind.filter((call) => call.outcome === outcome).length
    const took = ofKind.map(({ tookMs }) => tookMs)
    return {
      kind,
      ok: count("ok"),
      unavailable: count("unavailable"),
      defect: count("defect"),
      wrong: count("wrong"),
      medianMs: Math.round(median(took)),
      p99Ms: Math.round(percentile(took, 0.99)),
      worstMs: Math.round(Math.max(...took))
    }
  })

const seconds = (ms: number | null) => (ms === null ? "never" : `${(ms / 1_000).toFixed(1)} s`)

export const reportText = (report: SoakReport): string => {
  const faults = report.faults.map((row) => [
    row.fault,
    row.times,
    seconds(row.recoveryMedianMs),
    row.neverRecovered > 0 ? `never (${row.neverRecovered})` : seconds(row.recoveryWorstMs),
    row.findings
  ])
  const calls = report.calls.map((row) => [
    row.kind,
    row.ok,
    row.unavailable,
    row.defect,
    row.wrong,
    `${row.medianMs} ms`,
    `${row.p99Ms} ms`,
    `${row.worstMs} ms`
  ])
  const memory = report.memory.map(({ megabytesPerMinute, minutes, peakMegabytes, pid, server }) => [
    `${server}, process ${pid}`,
    `${minutes.toFixed(1)} min`,
    `${Math.round(peakMegabytes)} MB`,
    minutes < MEMORY_WATCH_MINUTES ? "too short" : `${megabytesPerMinute.toFixed(2)} MB/min`
  ])
  return [
    textTable([["fault", "times", "median recovery", "worst", "failed checks"], ...faults]),
    textTable([["calls", "ok", "unavailable", "defect", "wrong", "median", "p99", "worst"], ...calls]),
    textTable([["memory", "watched", "peak", "slope"], ...memory]),
    `The load generator was late by ${Math.round(report.ownDelayMs.p99)} ms (p99), at worst ${Math.round(report.ownDelayMs.worst)} ms; it left out ${report.leftOut} calls. Load average ${report.loadAverage.toFixed(1)} on ${availableParallelism()} processors.`,
    report.findings.map((finding) => `FAILED ${findingText(finding, report.seed)}`).join("\n"),
    report.ok
      ? `Every check held. Seed ${report.seed}.`
      : `${report.findings.length} checks FAILED. Seed ${report.seed}; the servers' logs are in ${report.logDirectory}`
  ]
    .filter((part) => part !== "")
    .join("\n\n")
}
