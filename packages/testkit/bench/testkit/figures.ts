/** Median, 99th percentile and maximum of measurements, in milliseconds rounded to a tenth. */
export interface Figures {
  readonly rounds: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly worstMs: number
}

export function figures(measured: ReadonlyArray<number>): Figures {
  const sorted = measured.toSorted((a, b) => a - b)
  const at = (share: number) =>
    tenth(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
  return { rounds: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), worstMs: at(1) }
}

/** The median of some values, rounded to a tenth. */
export const median = (values: ReadonlyArray<number>): number =>
  tenth(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0)

const tenth = (ms: number) => Math.round(ms * 10) / 10

/** Runs `use`; resolves with its duration in milliseconds and its result. */
export async function timed<A>(use: () => Promise<A>): Promise<readonly [number, A]> {
  const began = performance.now()
  const value = await use()
  return [performance.now() - began, value]
}
