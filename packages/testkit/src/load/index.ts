export type { ArrivalKind } from "./arrivals.ts"
export type { LatencySummary, PercentilePoint } from "./latencies.ts"
export { load, type LoadCall, type LoadOptions } from "./load.ts"
export type { LoadInterval, LoadReport } from "./report.ts"
